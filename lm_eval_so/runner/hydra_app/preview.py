"""``preview=3`` and ``check=1``: what a run would send, and what comes back, printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lm_eval_so.runner.errors import LmEvalError
from lm_eval_so.runner.host import event_loop
from lm_eval_so.runner.host.output import show, tell
from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.masking.values import secrets_in_environment
from lm_eval_so.runner.run.check import checks
from lm_eval_so.runner.run.exit_code import ExitCode
from lm_eval_so.runner.run.prepare import Prepared, prepare
from lm_eval_so.runner.run.preview import previews
from lm_eval_so.runner.sweep.cell import CellOutcome

if TYPE_CHECKING:
    from lm_eval_so.runner.config.schema import RunPlan


def show_requests(plan: RunPlan, label: str = "") -> CellOutcome:
    """Prints the first requests of a run; with ``check``, sends them and prints what comes back.

    Args:
        plan: The run, with ``preview`` or ``check``.
        label: Of the cell in its sweep.
    """
    cell = f"[{label}] " if label else ""
    try:
        prepared = prepare(plan)
        show_all = _preview if plan.preview is not None else _check
        return event_loop.run(show_all(prepared, cell))
    except LmEvalError as error:
        sentence = Redactor(secrets_in_environment()).text(str(error))
        tell(f"{cell}error: {sentence}")
        return CellOutcome(ExitCode.NOT_CARRIED_OUT, sentence)


async def _preview(prepared: Prepared, cell: str) -> CellOutcome:
    shown = 0
    async for text in previews(prepared, prepared.plan.preview or 0):
        _show(text, cell)
        shown += 1
    show(f"{cell}{shown} of {prepared.total:,} requests shown; nothing was sent")
    return CellOutcome(ExitCode.OK)


async def _check(prepared: Prepared, cell: str) -> CellOutcome:
    sent = failed = 0
    async for text, answered in checks(prepared, prepared.plan.check or 0):
        _show(text, cell)
        sent, failed = sent + 1, failed + (not answered)
    show(
        f"{cell}{sent} of {prepared.total:,} samples sent, {failed} without an answer; no run began"
    )
    return CellOutcome(ExitCode.SAMPLES_FAILED if failed else ExitCode.OK)


def _show(text: str, cell: str) -> None:
    show(f"{cell.rstrip()}\n{text}" if cell else text)
