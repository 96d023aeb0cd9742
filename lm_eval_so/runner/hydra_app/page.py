"""The page of a run or a sweep that has ended: written, or how to write it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from lm_eval_so.runner.host.output import show, tell
from lm_eval_so.runner.hydra_app.public_output import public_text

if TYPE_CHECKING:
    from pathlib import Path


def tell_page(folder: Path, *, auto: bool) -> None:
    """Writes the page of a folder and shows its path, or shows the command that does so.

    What happens to the page changes nothing of how a run ended.

    Args:
        folder: A run directory, or that of a sweep.
        auto: Whether the page is written.
    """
    if not auto:
        show(f"report    lm-eval-so report {shlex.quote(str(folder))}")
        return
    from lm_eval_so.report.find import find
    from lm_eval_so.report.write import REPORT, write_report

    try:
        write_report(find([folder]).directories, folder / REPORT)
    except Exception as error:  # noqa: BLE001 - the run is over, and its results are there
        tell(f"warning: no {REPORT} was written: {public_text(str(error) or type(error).__name__)}")
    else:
        show(f"report    {folder / REPORT}")
