"""A run from what was prepared to its report: opened, sent, put in order, reported."""

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Self

from lm_eval_so.runner.engine.base import EngineSetup, Stop
from lm_eval_so.runner.engine.registry import create_engine
from lm_eval_so.runner.errors import (
    BudgetSpentError,
    LostLinesError,
    RunDirectoryBusyError,
    StoreError,
)
from lm_eval_so.runner.masking.visible import visible
from lm_eval_so.runner.models import RunResult
from lm_eval_so.runner.run.in_parts import InParts
from lm_eval_so.runner.run.log import run_log
from lm_eval_so.runner.run.metadata import MetadataWriter
from lm_eval_so.runner.run.observer import Observer, Started
from lm_eval_so.runner.run.prepare import Prepared
from lm_eval_so.runner.run.recorder import Recorder
from lm_eval_so.runner.run.report import RunReport, ending, public_fault
from lm_eval_so.runner.run.results import ReadResult, ReadResults, Results, Watch
from lm_eval_so.runner.run.sharding import is_in_parts
from lm_eval_so.runner.run.signals import InterruptedRunError, on_signal
from lm_eval_so.runner.run.whole_file import WholeFile
from lm_eval_so.runner.store.run_metadata import State
from lm_eval_so.runner.store.segments import results_path
from lm_eval_so.runner.summary.summarise import Summary
from lm_eval_so.runner.summary.verdict import Verdict, judge

_LOG = logging.getLogger(__name__)


class Run:
    """One run of one plan.

    Entered as a context, it holds the run directory; `carry_out` does the work.

    Args:
        prepared: What to run.
        observers: Told what happens.
        share_limits_in: Folder through which processes share the provider's limits.

    Raises (on entering too):
        LmEvalError: The engine or the run directory cannot be used. Nothing has been sent then, and
            nothing written but by an earlier run.
    """

    def __init__(
        self, prepared: Prepared, *observers: Observer, share_limits_in: Path | None = None
    ) -> None:
        self.plan, self.redactor = prepared.plan, prepared.placed.redactor
        self.stop = Stop(partial(public_fault, redactor=self.redactor))
        self._prepared = prepared
        self._observers = observers
        recorder = Recorder(
            prepared.source.id,
            prepared.requests.configs,
            prepared.price,
            self.redactor,
            self.plan.store,
        )
        self._results: Results = (
            InParts(prepared, recorder) if is_in_parts(prepared) else WholeFile(prepared, recorder)
        )
        self.directory = self._results.directory
        self._engine = create_engine(
            self.plan.engine.kind,
            EngineSetup(
                backend=prepared.backend,
                options=self.plan.options,
                stop=self.stop,
                samples=prepared.total,
                answered_before=lambda: self._results.has_answers,
                price=prepared.price,
                spent=self.directory.spent,
                results=self.directory.results_path,
                share_limits_in=share_limits_in,
            ),
        )
        self._metadata = MetadataWriter(prepared)
        self._exit = ExitStack()
        self._in_order = False

    def __enter__(self) -> Self:
        with ExitStack() as entered:
            entered.enter_context(self._results)
            entered.enter_context(run_log(self.directory.path, self.redactor))
            self._prepared.memory.keep()
            self._exit = entered.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    async def carry_out(self, *, heed_signals: bool = True) -> RunReport:
        """Sends what is owed and writes every result as it comes.

        Args:
            heed_signals: Ctrl-C, SIGTERM and SIGHUP are requests to stop.

        Returns:
            How it ended, a stop and a fault included: what was received is in the file.

        Raises:
            CancelledError: The caller's task was cancelled; what is in flight is given up.
        """
        self._began = time.perf_counter()
        self._results.begin(
            Watch(
                result=self._result,
                answered_before=self._answered_before,
                answered_before_many=self._answered_before_many,
                stopping=lambda: bool(self.stop),
            )
        )
        self._write_metadata("running")
        try:
            with on_signal(self._interrupt) if heed_signals else nullcontext():
                await self._send_owed()
        except asyncio.CancelledError:
            self.stop.request(asyncio.CancelledError(), at_once=True)
            self._conclude()
            raise
        return self._conclude()

    async def _send_owed(self) -> None:
        if self._prepared.selection.note is not None:
            _LOG.warning(self._prepared.selection.note)
        for observer in self._observers:
            observer.started(self._started(), self._engine.live)
        syncing = asyncio.create_task(self._keep_synced())
        try:
            if await self._results.has_more():  # else neither a server nor a client is needed
                with self._bounded_in_time():
                    async with self._engine:
                        await self._until_in_order()
        except Exception as fault:  # noqa: BLE001 - the report carries it to the caller
            self.stop.request(fault)
        finally:
            syncing.cancel()
            for observer in self._observers:
                observer.ended()

    async def _until_in_order(self) -> None:
        """Sends what is owed, and again what the file has lost meanwhile."""
        while True:
            await self._engine.run(self._results.feed, self._results.deliver)
            if self.stop or self._is_in_order():
                return

    async def _answered_before(self, read: ReadResult) -> None:
        for observer in self._observers:
            await observer.answered_before(read)

    async def _answered_before_many(self, count: int, read: ReadResults) -> None:
        for observer in self._observers:
            await observer.answered_before_many(count, read)

    async def _result(self, kept: RunResult) -> None:
        for observer in self._observers:
            await observer.result(kept)

    async def _keep_synced(self) -> None:
        try:
            await self.directory.keep_synced()
        except StoreError as refusal:
            # Beside another process, what is in flight could not be written any more.
            self.stop.request(refusal, at_once=isinstance(refusal, RunDirectoryBusyError))

    @contextmanager
    def _bounded_in_time(self) -> Iterator[None]:
        seconds = self.plan.options.budget.seconds
        if seconds is None:
            yield
            return
        spent = BudgetSpentError("seconds", seconds, seconds)
        timer = asyncio.get_running_loop().call_later(seconds, self.stop.request, spent)
        try:
            yield
        finally:
            timer.cancel()

    def _interrupt(self, signal: InterruptedRunError) -> None:
        _LOG.warning(
            "%s: nothing more is sent; waiting up to %g s for %d requests in flight "
            "(once more to give them up)",
            signal,
            self.plan.options.drain_timeout,
            self._engine.live().in_flight,
        )
        self.stop.request(signal, at_once=self.stop.reason not in (None, signal))

    def _conclude(self) -> RunReport:
        summary = self._order_and_sum_up()
        if self.directory.refusal is not None:
            self.stop.request(self.directory.refusal)
        if summary is not None and summary.status_counts.get("owed") and not self.stop:
            self.stop.request(LostLinesError(f"{self.directory.results_path} has lost results"))
        verdict = (
            None if summary is None else judge(summary, self.plan.options, self._prepared.whole)
        )
        state, exit_code = self._write_end(summary, verdict)
        return RunReport(
            state=state,
            run_dir=self.directory.path,
            results_path=results_path(self.directory.path),
            metadata_path=self.directory.metadata_path,
            summary=summary,
            verdict=verdict,
            selection=self._metadata.selection,
            fault=self.stop.reason,
            exit_code=exit_code,
        )

    def _order_and_sum_up(self) -> Summary | None:
        """Leaves the file in dataset order; None where there is no time, or it cannot be done."""
        if self.stop.at_once:
            return None
        try:
            while not self._in_order:
                self._is_in_order()
        except Exception as error:  # noqa: BLE001 - the report carries it to the caller
            self.stop.request(error)
            return None
        return self._summary()

    def _is_in_order(self) -> bool:
        """Whether there is one line for each sample now; else what was lost is owed again."""
        self._ended = time.perf_counter()
        self._in_order = self._results.put_in_order()
        return self._in_order

    def _summary(self) -> Summary:
        results, wall_time = self._results, self._ended - self._began
        totals, unasked = results.added()
        return totals.summary(self._prepared.total + unasked).model_copy(
            update={
                "requests": self._engine.live().requests,
                "resumed": results.resumed,
                "wall_time_s": round(wall_time, 3),
                "results_per_s": round(results.delivered / wall_time, 3),
            }
        )

    def _write_end(self, summary: Summary | None, verdict: Verdict | None) -> tuple[State, int]:
        """Writes how it ended; a disk that refuses that is how it ended."""
        state, exit_code = ending(summary, self.stop.reason, verdict)
        try:
            self._write_metadata(state, summary, verdict)
        except StoreError as error:
            self.stop.request(error)
            state, exit_code = ending(summary, self.stop.reason, verdict)
            with suppress(StoreError):  # a full disk has been told of already
                self._write_metadata(state, summary, verdict)
        return state, exit_code

    def _write_metadata(
        self, state: State, summary: Summary | None = None, verdict: Verdict | None = None
    ) -> None:
        found_out, reason = self._engine.findings(), self.stop.reason
        self.directory.write_metadata(
            self._metadata.metadata(state, found_out, summary, verdict, reason)
        )

    def _started(self) -> Started:
        config = self.plan.run_config
        title = f"{self._prepared.source.id} · {config.backend} · {config.model}"
        return Started(
            title=visible(title),
            total=self._prepared.total,
            whole=self._prepared.whole,
            directory=self.directory.path,
        )
