"""Where jobs run: tells whether they live, and stops them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from submitit import Job

_ASK_EVERY = 5.0  # seconds; each is one question for all jobs
_PATIENCE = 60.0  # seconds that a command of the cluster may take


class Local:
    """``submitit_local``: processes of this machine, each with a keeper.

    Args:
        jobs: All of them.
        folder: Where each cell leaves the id of its process (`leave_pid`).
    """

    grace = 0.0  # seconds in which the result of a job that has ended may still appear

    def __init__(self, jobs: Sequence[Job[Any]], folder: Path) -> None:
        self._folder = folder
        self.how_to_stop = f"kill {' '.join(job.job_id for job in jobs)}"

    def is_live(self, job: Job[Any]) -> bool:
        """Whether the job may still leave its result."""
        return not job.done()

    def why(self, job: Job[Any]) -> str:
        """What became of a job that left no result."""
        return "was killed" if job.state == "FINISHED" else f"ended ({job.state.lower()})"

    def stop(self, jobs: Collection[Job[Any]]) -> None:
        """Asks the cells of the jobs to stop: their keepers hand the signal on."""
        for job in jobs:
            process: subprocess.Popen[bytes] | None = getattr(job, "_process", None)
            if process is not None:
                process.terminate()

    def kill(self, jobs: Collection[Job[Any]]) -> None:
        """Ends the cells; their keepers, which do not hear Ctrl-C, end with them.

        One that has left no id yet only starts, and finds that no cell may begin any more.
        """
        for job in jobs:
            with suppress(OSError, ValueError):
                os.kill(int(_pid_file(self._folder, job.job_id).read_text()), signal.SIGKILL)


def leave_pid(folder: Path, job_id: str) -> None:
    """Leaves the id of this process, which runs the cell of a job, for `Local.kill`."""
    _pid_file(folder, job_id).write_text(str(os.getpid()))


def _pid_file(folder: Path, job_id: str) -> Path:
    return folder / f"{job_id}.pid"


class Slurm:
    """Jobs of Slurm, by its own commands.

    submitit asks ``sacct`` every ten minutes, which knows nothing on a cluster without accounting.
    """

    grace = 10.0  # over a network

    def __init__(self, jobs: Sequence[Job[Any]]) -> None:
        self._arrays = list(dict.fromkeys(job.job_id.partition("_")[0] for job in jobs))
        self.how_to_stop = f"scancel {' '.join(self._arrays)}"
        self._asked_at = 0.0
        self._live: set[str] | None = None  # None as long as Slurm does not answer

    def is_live(self, job: Job[Any]) -> bool:
        """Whether the job waits or runs; True as long as Slurm does not answer."""
        now = time.monotonic()
        if now - self._asked_at >= _ASK_EVERY:
            self._asked_at = now
            told = _ask("squeue", "--me", "--noheader", "--array", "--format=%i")
            self._live = None if told is None else set(told.split())
        return self._live is None or job.job_id in self._live

    def why(self, job: Job[Any]) -> str:
        """What became of a job that left no result."""
        told = _ask("scontrol", "--oneliner", "show", "job", job.job_id) or ""
        state = re.search(r"\bJobState=(\S+)", told)
        ended = re.search(r"\bExitCode=\d+:(\d+)", told)
        number = int(ended[1]) if ended else 0
        how = f" by signal {number}" if number else ""
        return f"ended without a word ({state[1] if state else 'unknown to Slurm'}{how})"

    def stop(self, jobs: Collection[Job[Any]]) -> None:
        """Cancels jobs that wait; those that run get SIGTERM, and no kill follows."""
        ids = [job.job_id for job in jobs]
        _ask("scancel", "--state=PENDING", *ids)
        _ask("scancel", "--signal=TERM", *ids)

    def kill(self, jobs: Collection[Job[Any]]) -> None:
        """Cancels the jobs: they end at once."""
        _ask("scancel", "--signal=KILL", "--full", *[job.job_id for job in jobs])
        _ask("scancel", *[job.job_id for job in jobs])


def _ask(*command: str) -> str | None:
    with suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(  # noqa: S603 - Slurm's own commands
            command, capture_output=True, text=True, check=False, timeout=_PATIENCE
        )
        return done.stdout if done.returncode == 0 else None
    return None
