"""Picks the fleet for a launcher of Hydra's."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hydra.plugins.launcher import Launcher

    from lm_eval_so.runner.hydra_app.launch.fleet import Fleet


def fleet_of(
    launcher: Launcher, cells: Sequence[list[str]], first: int, jobs: Path
) -> Fleet | None:
    """Starts the cells; returns None for a launcher that runs them itself.

    Args:
        launcher: Hydra's.
        cells: Overrides of each.
        first: Number of the first.
        jobs: Folder for the files of cluster jobs.

    Raises:
        LmEvalError: The cells cannot be started.
    """
    match type(launcher).__name__:
        case "JoblibLauncher":
            from lm_eval_so.runner.hydra_app.launch.processes import Processes

            return Processes(launcher, cells, first)
        case "LocalLauncher" | "SlurmLauncher":
            from lm_eval_so.runner.hydra_app.launch.jobs import Jobs

            return Jobs(launcher, cells, first, (jobs / "%j").absolute())
    return None
