"""A run from a plan to its report: everything is opened, checked and closed here, in order."""

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext, suppress
from functools import partial
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Self

from lm_eval_so.runner.backends.base import ChatBackend
from lm_eval_so.runner.backends.registry import create_backend
from lm_eval_so.runner.config.schema import RunPlan
from lm_eval_so.runner.dataset.check import check
from lm_eval_so.runner.dataset.reader import read_checked
from lm_eval_so.runner.dataset.source import locate
from lm_eval_so.runner.engine.sync import Answered, Stop, SyncEngine
from lm_eval_so.runner.errors import (
    BackendUnusableError,
    BudgetSpentError,
    LostLinesError,
    RunDirectoryBusyError,
    StoreError,
)
from lm_eval_so.runner.host.private import make_private
from lm_eval_so.runner.masking.visible import visible
from lm_eval_so.runner.models import RunRequest, RunResult
from lm_eval_so.runner.request.build import new_trace_id, repeated
from lm_eval_so.runner.request.key import RequestKeys
from lm_eval_so.runner.run.final import FinalFile
from lm_eval_so.runner.run.log import run_log
from lm_eval_so.runner.run.metadata import MetadataWriter
from lm_eval_so.runner.run.observer import Live, Observer, Started
from lm_eval_so.runner.run.prepare import directory_of, known_price, planned
from lm_eval_so.runner.run.recorder import Recorder
from lm_eval_so.runner.run.report import RunReport, verdict
from lm_eval_so.runner.run.signals import InterruptedRunError, on_signal
from lm_eval_so.runner.store.directory import RunDirectory
from lm_eval_so.runner.store.files import reading
from lm_eval_so.runner.store.run_metadata import State
from lm_eval_so.runner.strategy.breaker.away import LEAST_ROUND
from lm_eval_so.runner.strategy.breaker.evidence import MOST_HELD
from lm_eval_so.runner.strategy.stack import Stack
from lm_eval_so.runner.summary.summarise import Summary

_LOG = logging.getLogger(__name__)
_WORKERS_PER_SLOT = 2
"""While one worker backs off without a slot, another uses it."""
_LEAST_WORKERS = MOST_HELD + LEAST_ROUND
"""With few slots too, refusals that are held back leave enough workers to tell an outage."""
_KEPT_PER_TURN = 256
"""Samples with an answer that are passed over before the event loop gets a turn."""


class Run:
    """One run of one plan.

    Entered as a context, it holds the run directory; `carry_out` does the work.

    Args:
        plan: What to run.
        backend: Answers in the place of the one that the plan names.
        observers: Told what happens.
        share_limits_in: Folder through which processes share the provider's limits.

    Raises:
        LmEvalError: The backend, the dataset or the run directory cannot be used. Nothing has
            been sent then, and nothing written but by an earlier run.
    """

    def __init__(
        self,
        plan: RunPlan,
        backend: ChatBackend | None = None,
        *observers: Observer,
        share_limits_in: Path | None = None,
    ) -> None:
        self.plan = plan
        make_private(plan.options.private)
        config = plan.run_config
        self._backend = backend or create_backend(config)
        self._backend.longest_answer = round(plan.options.max_response_mb * 1e6)
        self._observers = observers
        self._source = locate(plan.dataset)
        self._dataset = check(self._source.path)
        run = planned(plan, self._source, self._backend, self._dataset.sha256)
        self._configs = repeated(config, plan.repeats)
        self._total = self._dataset.count * plan.repeats
        self.redactor = run.redactor
        self.directory = RunDirectory(
            directory_of(run), run.identity, self._total, self.redactor, run.asked
        )
        self.stop = Stop()
        price = known_price(plan, self._backend.endpoint)
        self._stack = Stack(
            self._backend,
            plan.options,
            stopping=lambda: bool(self.stop),
            give_up=self._give_up,
            price=price,
            keep_spent=self.directory.spent.write,
            keep_spent_soon=self.directory.spent.write_soon,
            share_limits_in=share_limits_in,
            samples=self._total,
        )
        self._recorder = Recorder(self._source.id, self._configs, price, self.redactor)
        self._metadata = MetadataWriter(
            plan, self._source, self._dataset, run.identity, self.redactor
        )
        self._exit = ExitStack()
        self._final = FinalFile(self.directory)
        self._resumed = self._delivered = 0

    def __enter__(self) -> Self:
        with ExitStack() as entered:
            entered.enter_context(self.directory)
            entered.enter_context(run_log(self.directory.path, self.redactor))
            self._exit = entered.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
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
        self.directory.write_metadata(self._metadata.metadata("running", self._stack.record()))
        items = self._items()
        try:
            with on_signal(self._interrupt) if heed_signals else nullcontext():
                await self._send_owed(items)
        except asyncio.CancelledError:
            self.stop.request(asyncio.CancelledError(), at_once=True)
            self._finish(items)
            raise
        return self._finish(items)

    async def _send_owed(self, items: Iterator[RunRequest | Answered]) -> None:
        options = self.plan.options
        for observer in self._observers:
            observer.started(self._what_started(), self._live)
        timer: asyncio.TimerHandle | None = None
        syncing = asyncio.create_task(self._keep_synced())
        try:
            first = await self._first_owed(items)
            if first is None:
                return  # all is there: neither a server nor a client is needed
            self._count_earlier_commands()
            if self.directory.ledger.has_answers:
                self._stack.evidence.answered_before()
            if options.budget.seconds is not None:
                timer = asyncio.get_running_loop().call_later(
                    options.budget.seconds, self._out_of_time
                )
            async with self._backend:
                engine = SyncEngine(
                    self._stack, self._recorder, self._deliver, self._keep, self.stop
                )
                await self._until_in_order(engine, chain([first], items))
        except Exception as fault:  # noqa: BLE001 - the report carries it to the caller
            self.stop.request(fault)
        finally:
            syncing.cancel()
            if timer is not None:
                timer.cancel()
            for observer in self._observers:
                observer.ended()

    async def _until_in_order(
        self, engine: SyncEngine, items: Iterator[RunRequest | Answered]
    ) -> None:
        """Sends what is owed, and again what the file has lost meanwhile."""
        drain_timeout = self.plan.options.drain_timeout
        while True:
            await engine.run(items, workers=self._workers, drain_timeout=drain_timeout)
            if self.stop or self._is_in_order(items):
                return
            items = (item for item in self._items() if isinstance(item, RunRequest))

    async def _keep_synced(self) -> None:
        try:
            await self.directory.keep_synced()
        except StoreError as refusal:
            # Beside another process, what is in flight could not be written any more.
            self.stop.request(refusal, at_once=isinstance(refusal, RunDirectoryBusyError))

    @property
    def _workers(self) -> int:
        enough = max(self.plan.options.most_at_once * _WORKERS_PER_SLOT, _LEAST_WORKERS)
        return min(enough, self._total)

    async def _first_owed(self, items: Iterator[RunRequest | Answered]) -> RunRequest | None:
        for item in items:
            if isinstance(item, RunRequest):
                return item
            await self._keep(item)
            if self.stop:
                break
        return None

    def _items(self) -> Iterator[RunRequest | Answered]:
        backend, configs = self._backend, self._configs
        prefix = self.redactor.data(self.plan.options.trace_prefix)
        repeats = self.plan.repeats
        keys = [
            RequestKeys(config, backend.endpoint, backend.defaults, repeat)
            for repeat, config in enumerate(configs)
        ]
        samples = read_checked(self._source.path, self._dataset)
        asked = ((sample, repeat) for sample in samples for repeat in range(repeats))
        ledger, again = self.directory.ledger, self._final.losses > 0
        for index, (sample, repeat) in enumerate(asked):
            key = keys[repeat].key(sample.messages, sample.parameters)
            offset = ledger.find(index, sample.id, key)
            if offset is None:
                trace_id = new_trace_id(prefix, sample.id, repeat if repeats > 1 else None)
                yield RunRequest(sample, index, configs[repeat], key, trace_id, repeat)
            else:
                self._resumed += not again
                yield Answered(offset)

    async def _keep(self, kept: Answered) -> None:
        for observer in self._observers:
            await observer.answered_before(partial(self.directory.stored, kept.offset))
        if self._resumed % _KEPT_PER_TURN == 0:
            await asyncio.sleep(0)

    async def _deliver(self, request: RunRequest, result: RunResult) -> None:
        kept = self.directory.add(request.index, result)
        self._delivered += 1
        for observer in self._observers:
            await observer.result(kept)

    def _give_up(self, error: BackendUnusableError | BudgetSpentError) -> None:
        if isinstance(error, BackendUnusableError):
            shown = BackendUnusableError(self.redactor.text(str(error)))
            shown.__cause__ = error.__cause__
            error = shown
        self.stop.request(error)

    def _count_earlier_commands(self) -> None:
        """What they took counts; where they kept no total, as far as their lines tell."""
        earlier = self.directory.spent.read()
        if earlier is not None:
            self._stack.spending.begin(earlier)
            return
        path = self.directory.results_path
        with reading(path), path.open("rb") as lines:
            self._stack.spending.begin_from_lines(lines)

    def _out_of_time(self) -> None:
        seconds = self.plan.options.budget.seconds or 0.0
        self.stop.request(BudgetSpentError("seconds", seconds, seconds))

    def _interrupt(self, signal: InterruptedRunError) -> None:
        _LOG.warning(
            "%s: nothing more is sent; waiting up to %g s for %d requests in flight "
            "(once more to give them up)",
            signal,
            self.plan.options.drain_timeout,
            len(self._stack.in_flight),
        )
        self.stop.request(signal, at_once=self.stop.reason not in (None, signal))

    def _finish(self, items: Iterator[RunRequest | Answered]) -> RunReport:
        summary = None
        if not self.stop.at_once:
            try:
                summary = self._summary(items)
            except Exception as error:  # noqa: BLE001 - the report carries it to the caller
                self.stop.request(error)
        if self.directory.refusal is not None:
            self.stop.request(self.directory.refusal)
        if summary is not None and summary.status_counts.get("owed") and not self.stop:
            self.stop.request(LostLinesError(f"{self.directory.results_path} has lost results"))
        try:
            state, exit_code = self._write_end(summary)
        except StoreError as error:
            self.stop.request(error)
            state, exit_code = verdict(summary, self.stop.reason, None)
            with suppress(StoreError):  # a full disk has been told of already
                state, exit_code = self._write_end(summary)
        return RunReport(
            state=state,
            run_dir=self.directory.path,
            results_path=self.directory.results_path,
            metadata_path=self.directory.metadata_path,
            summary=summary,
            fault=self.stop.reason,
            exit_code=exit_code,
        )

    def _write_end(self, summary: Summary | None) -> tuple[State, int]:
        fault = self.stop.reason
        state, exit_code = verdict(summary, fault, self.plan.options.max_failures)
        self.directory.write_metadata(
            self._metadata.metadata(state, self._stack.record(), summary, fault)
        )
        return state, exit_code

    def _is_in_order(self, items: Iterator[RunRequest | Answered]) -> bool:
        """Whether the file has one line for each sample now; else what it lost is owed again."""
        self._ended = time.perf_counter()
        for _ in items:
            pass  # after a stop: finds the stored lines of the samples that were not reached
        return self._final.is_in_order()

    def _summary(self, items: Iterator[RunRequest | Answered]) -> Summary:
        while self._final.totals is None and not self._is_in_order(items):
            items = self._items()
        assert self._final.totals is not None  # noqa: S101 - it is in order
        wall_time = self._ended - self._began
        return self._final.totals.summary(self._total).model_copy(
            update={
                "requests": self._stack.in_flight.sent,
                "resumed": self._resumed,
                "wall_time_s": round(wall_time, 3),
                "results_per_s": round(self._delivered / wall_time, 3),
            }
        )

    def _what_started(self) -> Started:
        config = self.plan.run_config
        return Started(
            title=visible(f"{self._source.id} · {config.backend} · {config.model}"),
            total=self._total,
            directory=self.directory.path,
        )

    def _live(self) -> Live:
        return Live(
            in_flight=len(self._stack.in_flight),
            requests=self._stack.in_flight.sent,
            concurrency=self._stack.slots.limit,
            rate_limit=self.plan.options.rate_limit or self._stack.start_rate.per_second,
            paused_s=self._stack.limiter.paused_s,
        )
