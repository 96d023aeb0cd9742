"""Which progress a person sees: a bar, log lines, or nothing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from lm_eval_so.runner.progress.log_lines import LogProgress

if TYPE_CHECKING:
    from lm_eval_so.runner.config.schema import RunnerOptions
    from lm_eval_so.runner.run.observer import Observer


def progress_of(options: RunnerOptions, *, parallel: bool) -> list[Observer]:
    """The observers that show progress; with ``auto``, a bar on a terminal, else log lines.

    Args:
        options: Its ``progress`` names the mode.
        parallel: Whether other cells run at the same time, so that ``auto`` shows nothing.
    """
    mode = options.progress
    if mode == "auto":
        mode = "none" if parallel else "bar" if sys.stderr.isatty() else "log"
    observers: list[Observer] = [LogProgress(lines=mode == "log")]
    if mode == "bar":
        from rich.console import Console  # noqa: PLC0415 - terminals only

        from lm_eval_so.runner.progress.bar import BarProgress  # noqa: PLC0415 - as above

        observers.append(BarProgress(Console(stderr=True)))
    return observers
