"""``hydra/launcher=submitit_slurm`` and ``submitit_local``: each cell is a job."""

from __future__ import annotations

import pickle
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import submitit
from hydra.core.singleton import Singleton
from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf
from omegaconf import OmegaConf
from submitit.core.utils import FailedJobError

from lm_eval_so.runner.errors import LmEvalError
from lm_eval_so.runner.host.output import tell
from lm_eval_so.runner.hydra_app.launch.cluster import Local, Slurm
from lm_eval_so.runner.hydra_app.launch.fleet import killed
from lm_eval_so.runner.hydra_app.launch.in_job import InJob
from lm_eval_so.runner.hydra_app.launch.signals import unheard_interrupts
from lm_eval_so.runner.hydra_app.scratch import scratch_dir

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hydra.plugins.launcher import Launcher

    from lm_eval_so.runner.sweep.cell import CellOutcome

_OF_THE_EXECUTOR = {"max_num_timeout"}


class Jobs:
    """Cells that are jobs of a cluster.

    Args:
        launcher: Hydra's own, which has the config and what the jobs ask for.
        cells: Overrides of each.
        first: Number of the first.
        folder: For logs and results of the jobs; all nodes must see it.

    Raises:
        LmEvalError: The cluster refuses them.
    """

    def __init__(
        self, launcher: Launcher, cells: Sequence[list[str]], first: int, folder: Path
    ) -> None:
        self._stopped = folder.parent / f"stopped-{uuid4().hex}"
        executor = _executor(launcher, folder)
        numbers = list(range(first, first + len(cells)))
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)  # the user may have chosen another
            with unheard_interrupts():
                jobs = executor.map_array(
                    InJob(launcher, self._stopped),
                    cells,
                    numbers,
                    [Singleton.get_state() for _ in cells],
                )
        except (OSError, FailedJobError) as error:
            raise LmEvalError(f"the jobs could not be started: {error}") from error
        self._jobs = dict(zip(numbers, jobs, strict=True))
        self._cluster = (
            Slurm(jobs) if executor.cluster == "slurm" else Local(jobs, self._stopped.parent)
        )
        self._gone: dict[int, float] = {}  # when a job was first seen to be over
        for number, job in self._jobs.items():
            tell(f"[{number + 1}] job {job.job_id}, log {job.paths.stderr}")
        tell(f"to stop them: Ctrl-C, or {self._cluster.how_to_stop}")

    @property
    def running(self) -> set[int]:
        """See Fleet."""
        return set(self._jobs)

    def wait(self, seconds: float) -> dict[int, CellOutcome]:
        """See Fleet."""
        found = {number: self._outcome(number) for number in self._jobs}
        ended = {number: outcome for number, outcome in found.items() if outcome is not None}
        for number in ended:
            del self._jobs[number]
        if not ended:
            time.sleep(seconds)
        return ended

    def stop(self) -> None:
        """See Fleet."""
        with suppress(OSError):
            self._stopped.touch()
        self._cluster.stop(self._jobs.values())

    def kill(self) -> None:
        """See Fleet."""
        self._cluster.kill(self._jobs.values())

    def _outcome(self, number: int) -> CellOutcome | None:
        job = self._jobs[number]
        if job.paths.result_pickle.exists():
            return _left_by(job)
        if self._cluster.is_live(job):
            self._gone.pop(number, None)
            return None
        now = time.monotonic()
        since = self._gone.get(number)
        if since is None or now - since < self._cluster.grace:
            self._gone.setdefault(number, now)
            return None  # looks once more: the result may have come since
        return killed(f"job {job.job_id} {self._cluster.why(job)}; its log is {job.paths.stderr}")


def _executor(launcher: Any, folder: Path) -> submitit.AutoExecutor:
    """The executor that the launcher would make."""
    cluster, given = launcher._EXECUTOR, dict(launcher.params)
    chosen = given.pop("submitit_folder")
    if not Path(chosen).is_relative_to(scratch_dir()):  # the user chose another
        folder = Path(chosen)
    own = {f"{cluster}_{key}": given.pop(key) for key in _OF_THE_EXECUTOR & given.keys()}
    common = set(OmegaConf.structured(BaseQueueConf).keys())
    try:
        executor = submitit.AutoExecutor(folder=folder, cluster=cluster, **own)
        executor.update_parameters(
            **{key if key in common else f"{cluster}_{key}": given[key] for key in given}
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise LmEvalError(f"no job can be started: {error}") from error
    return executor


def _left_by(job: submitit.Job[CellOutcome]) -> CellOutcome | None:
    """What the job left; None if it is not there completely yet."""
    try:
        kind, result = pickle.loads(job.paths.result_pickle.read_bytes())  # noqa: S301 - our job's
    except (EOFError, OSError):
        return None
    if kind == "success":
        outcome: CellOutcome = result
        return outcome
    return killed(f"job {job.job_id}: {str(result).strip().splitlines()[-1]}")
