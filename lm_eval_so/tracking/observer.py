"""Tells the process beside us how a run stands, and costs the run next to nothing."""

import asyncio
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from lm_eval_so.runner.config.schema import RunPlan, TrackingConfig
from lm_eval_so.runner.engine.base import Live
from lm_eval_so.runner.masking.options import secrets_in, shown
from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.masking.values import secrets_in_environment
from lm_eval_so.runner.models import RunResult
from lm_eval_so.runner.run.observer import NullObserver, Started
from lm_eval_so.runner.summary.summarise import distribution
from lm_eval_so.tracking.address import tracking_uri
from lm_eval_so.tracking.client import now_ms
from lm_eval_so.tracking.messages import ALL, Begin, End, LiveMetrics, Report
from lm_eval_so.tracking.process import DEAD, FIRST_ANSWER, GRACE, Feeder

_LOG = logging.getLogger(__name__)
_LIVES = 2  # of the process, when the run ends
_SILENT = 2.0  # seconds that are waited for without a word
_HURRY = 1.0  # seconds
_SHOWN = ("p50", "p90", "p99")
_OF_LATE = 1000
"""Answers that the live percentiles look back on."""


class MlflowTracking(NullObserver):
    """An observer of one run.

    Args:
        feeder: Speaks with MLflow.
        config: What to track.
        uri: Where MLflow is.
        sweep: Folder of the sweep that the run is a cell of.
        cell: What sets it apart from the other cells.

    Attributes:
        private: Whether what MLflow makes here is for its owner alone.
    """

    def __init__(
        self,
        feeder: Feeder,
        config: TrackingConfig,
        uri: str,
        sweep: Path | None = None,
        cell: str = "",
    ) -> None:
        self._feeder = feeder
        self._config = config
        self._uri = uri
        self._sweep = sweep
        self._cell = cell
        self.private = True
        self._begin: Begin | None = None
        self._done = self._failed = self._sent = self._tokens = 0
        self._cost_usd = 0.0
        self._latencies: deque[float] = deque(maxlen=_OF_LATE)
        self._warned = False

    def started(self, started: Started, live: Callable[[], Live]) -> None:
        """The run directory is there, and holds what MLflow is to know."""
        self._live = live
        self._begin = Begin(
            directory=started.directory.absolute(),
            uri=self._uri,
            tracking=self._config,
            sweep=self._sweep,
            cell=self._cell,
            private=self.private,
        )
        self._feeder.send(self._begin)
        self._before = self._counts()
        self._telling = asyncio.create_task(self._tell())

    async def result(self, result: RunResult) -> None:
        """Counts."""
        self._done += 1
        self._sent += 1
        response = result.response
        if response is None:
            self._failed += 1
            return
        if result.latency_ms is not None:
            self._latencies.append(result.latency_ms)
        if response.tokens is not None:
            self._tokens += response.tokens.total or 0
        if result.cost_usd is not None:
            self._cost_usd += result.cost_usd

    async def answered_before(self, read: Callable[[], RunResult]) -> None:  # noqa: ARG002 - the protocol's
        """Counts."""
        self._done += 1

    def ended(self) -> None:
        """Takes the last reading."""
        self._telling.cancel()
        if self._sent:
            self._read()

    def finish(self, *, hurry: bool = False) -> Report | None:
        """The files are final: waits until MLflow has what it lacks, or the time is up.

        Since all is in the files, a process that was killed meanwhile has a successor.

        Args:
            hurry: Waits for two seconds at the most: somebody wants to leave.

        Returns:
            How it stands; None where the run has not begun.

        Raises:
            KeyboardInterrupt: Ctrl-C while it waits.
        """
        if self._begin is None:
            return None
        bound = min(self._config.drain_timeout, _HURRY if hurry else math.inf)
        end = End(directory=self._begin.directory, timeout=bound)
        patience = threading.Timer(_SILENT, self._say_why, [bound])
        patience.start()
        try:
            for _ in range(_LIVES):
                report = self._feeder.ask(
                    end,
                    grace=_HURRY if hurry else GRACE,
                    first=0.0 if hurry else FIRST_ANSWER,
                )
                if report is not None:
                    return report
                self._feeder.send(self._begin)
        finally:
            patience.cancel()
        return Report(directory=end.directory, final=True, missing=ALL, reason=DEAD)

    @staticmethod
    def _say_why(bound: float) -> None:
        _LOG.info(
            "waiting for MLflow, up to %g s from its first answer (a new database takes some time)",
            bound,
        )

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(self._config.live_interval)
            self._read()
            self._warn()

    def _read(self) -> None:
        live, counts = self._live(), self._counts()
        per_second = _rates(self._before, counts)
        self._before = counts
        percentiles = distribution(self._latencies) or {}
        metrics = {
            "live/done": self._done,
            "live/failed": self._failed,
            "live/in_flight": live.in_flight,
            "live/concurrency": live.concurrency,
            "live/tokens": self._tokens,
            **({"live/cost_usd": self._cost_usd} if self._cost_usd else {}),
            **{f"live/{name}_per_s": rate for name, rate in per_second.items()},
            **{f"live/latency_ms.{name}": percentiles[name] for name in _SHOWN if percentiles},
        }
        assert self._begin is not None  # noqa: S101 - the run has begun
        directory = self._begin.directory
        self._feeder.send(
            LiveMetrics(directory=directory, metrics=metrics, step=self._done, at=now_ms())
        )

    def _counts(self) -> dict[str, float]:
        return {
            "at": time.monotonic(),
            "requests": self._live().requests,
            "results": self._sent,
            "tokens": self._tokens,
        }

    def _warn(self) -> None:
        """Says once, early, that MLflow is away; what it lacks is said at the end."""
        assert self._begin is not None  # noqa: S101 - the run has begun
        report = self._feeder.latest(self._begin.directory)
        if report is not None and report.reason and not self._warned:
            self._warned = True
            _LOG.warning("%s; the run goes on without", report.reason)


def tracking_of(
    plan: RunPlan, feeder: Feeder, sweep: Path | None = None, cell: str = ""
) -> MlflowTracking:
    """The observer that a plan asks for.

    Args:
        plan: With ``tracking.kind`` mlflow.
        feeder: Speaks with MLflow.
        sweep: Folder of the sweep that the run is a cell of.
        cell: What sets it apart from the other cells.
    """
    config = plan.tracking
    public = Redactor([*secrets_in(config.tags), *secrets_in_environment()]).data
    names = {"experiment": config.experiment, "run_name": config.run_name}
    told = config.model_copy(update=public({**names, "tags": shown(config.tags)}))
    uri = tracking_uri(config.uri, plan.output_root)
    tracking = MlflowTracking(feeder, told, uri, sweep, cell)
    tracking.private = plan.options.private
    return tracking


def _rates(before: dict[str, float], now: dict[str, float]) -> dict[str, float]:
    elapsed = max(now["at"] - before["at"], 1e-9)
    return {name: (n - before[name]) / elapsed for name, n in now.items() if name != "at"}
