"""``hydra/launcher=joblib``: cells in processes of this machine; one that dies ends no other."""

from __future__ import annotations

import os
import re
import signal
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from hydra.core.singleton import Singleton
from hydra_plugins.hydra_joblib_launcher._core import execute_job
from joblib import effective_n_jobs
from joblib.externals.loky import ProcessPoolExecutor

from lm_eval_so.runner.hydra_app.launch.fleet import killed, outcome_of
from lm_eval_so.runner.run.exit_code import by_signal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hydra.core.utils import JobReturn
    from hydra.plugins.launcher import Launcher

    from lm_eval_so.runner.sweep.cell import CellOutcome

_SIGNAL = re.compile(r"SIG[A-Z0-9]+")


class _Lane:
    """A process that runs one cell after the other; where it dies, a new one takes its place."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Starts a new process."""
        self._pool: Executor = ProcessPoolExecutor(max_workers=1)
        self._pid: Future[int] = self._pool.submit(os.getpid)

    def start(self, **job: Any) -> Future[JobReturn]:
        """Runs a cell; takes the arguments of Hydra's `execute_job`."""
        return self._pool.submit(execute_job, **job)

    def signal(self, number: signal.Signals) -> bool:
        """Sends it a signal; returns whether it could: a process that only starts has no id yet."""
        if not self._pid.done():
            return False
        if self._pid.exception() is None:
            with suppress(ProcessLookupError):
                os.kill(self._pid.result(), number)
        return True

    def close(self) -> None:
        """Lets the process end."""
        self._pool.shutdown(wait=False)


class Processes:
    """Cells in processes of this machine.

    Args:
        launcher: Hydra's own, which has the config and ``n_jobs``.
        cells: Overrides of each.
        first: Number of the first.
    """

    def __init__(self, launcher: Launcher, cells: Sequence[list[str]], first: int) -> None:
        self._launcher: Any = launcher
        self._waiting = list(enumerate(cells, first))
        lanes = min(effective_n_jobs(launcher.joblib["n_jobs"]), len(cells))  # type: ignore[attr-defined]
        self._lanes = [_Lane() for _ in range(lanes)]
        self._busy: dict[Future[JobReturn], tuple[int, _Lane]] = {}
        self._stopped = False
        self._to_ask: list[_Lane] = []  # to stop, but their processes only start
        for lane in self._lanes:
            self._next(lane)

    @property
    def running(self) -> set[int]:
        """See Fleet."""
        return {number for number, _ in self._busy.values()}

    def wait(self, seconds: float) -> dict[int, CellOutcome]:
        """See Fleet."""
        self._ask()
        done, _ = wait(self._busy, seconds, FIRST_COMPLETED)
        ended = {}
        for future in done:
            number, lane = self._busy.pop(future)
            ended[number] = _outcome(future)
            if future.exception() is not None or by_signal(ended[number].exit_code):
                lane.close()  # what ended this cell must not end those that follow
                lane.renew()
            self._next(lane)
        return ended

    def stop(self) -> None:
        """See Fleet."""
        self._stopped = True
        self._to_ask = [lane for _, lane in self._busy.values()]
        self._ask()

    def kill(self) -> None:
        """See Fleet."""
        for _, lane in self._busy.values():
            lane.signal(signal.SIGKILL)

    def _ask(self) -> None:
        self._to_ask = [lane for lane in self._to_ask if not lane.signal(signal.SIGTERM)]

    def _next(self, lane: _Lane) -> None:
        if self._stopped or not self._waiting:
            lane.close()
            return
        number, overrides = self._waiting.pop(0)
        launcher = self._launcher
        future = lane.start(
            idx=number,
            overrides=overrides,
            hydra_context=launcher.hydra_context,
            config=launcher.config,
            task_function=launcher.task_function,
            singleton_state=Singleton.get_state(),
        )
        self._busy[future] = number, lane


def _outcome(future: Future[JobReturn]) -> CellOutcome:
    error = future.exception()
    if error is None:
        return outcome_of(future.result())
    if isinstance(error, BrokenProcessPool):
        how = _SIGNAL.search(str(error))
        return killed(f"its process was ended{f' by {how.group()}' if how else ''}")
    return killed(f"its process could not run it: {type(error).__name__}: {error}")
