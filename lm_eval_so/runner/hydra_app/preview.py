"""``preview=3``: what a run would send, printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lm_eval_so.runner.errors import LmEvalError
from lm_eval_so.runner.host.output import show, tell
from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.masking.values import secrets_in_environment
from lm_eval_so.runner.run import event_loop
from lm_eval_so.runner.run.exit_code import ExitCode
from lm_eval_so.runner.run.prepare import Prepared, prepare
from lm_eval_so.runner.run.preview import previews
from lm_eval_so.runner.sweep.cell import CellOutcome

if TYPE_CHECKING:
    from lm_eval_so.runner.config.schema import RunPlan


def show_preview(plan: RunPlan, count: int, label: str = "") -> CellOutcome:
    """Prints the first requests of a run.

    Args:
        plan: The run.
        count: Requests at the most.
        label: Of the cell in its sweep.
    """
    cell = f"[{label}] " if label else ""
    try:
        prepared = prepare(plan)
        shown = event_loop.run(_show(prepared, count, cell))
    except LmEvalError as error:
        sentence = Redactor(secrets_in_environment()).text(str(error))
        tell(f"{cell}error: {sentence}")
        return CellOutcome(ExitCode.NOT_CARRIED_OUT, sentence)
    show(f"{cell}{shown} of {prepared.total:,} requests shown; nothing was sent")
    return CellOutcome(ExitCode.OK)


async def _show(prepared: Prepared, count: int, cell: str) -> int:
    shown = 0
    async for text in previews(prepared, count):
        show(f"{cell.rstrip()}\n{text}" if cell else text)
        shown += 1
    return shown
