"""The runner from Python: blocking or async, as a report or as results while they come."""

import asyncio
import queue
import threading
import warnings
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractContextManager, aclosing, suppress
from functools import partial
from typing import Unpack

from lm_eval_so.runner.backends.function import backend_of
from lm_eval_so.runner.engine.registry import works_by_shards
from lm_eval_so.runner.errors import ConfigError, RunningLoopError
from lm_eval_so.runner.host import event_loop
from lm_eval_so.runner.models import RunConfig, RunResult
from lm_eval_so.runner.progress.observed_run import ObservedRun, observed_run
from lm_eval_so.runner.run.exit_code import ExitCode
from lm_eval_so.runner.run.keywords import Dataset, RunKeywords, engine_of, plan_of, source_of
from lm_eval_so.runner.run.observer import NullObserver
from lm_eval_so.runner.run.report import RunReport
from lm_eval_so.runner.run.signals import InterruptedRunError
from lm_eval_so.runner.run.spool import Given

_AHEAD = 1024
"""Results a stream may be ahead of who reads it."""
_POLL = 0.05  # seconds, while a stream that was left comes to its end


def run(
    dataset: Dataset | None = None, config: RunConfig | None = None, **how: Unpack[RunKeywords]
) -> RunReport:
    """Runs a config on a dataset; what an earlier call has answered is not asked again.

    Args:
        dataset: A file, a directory, a glob or ``hf:org/name``; or a ``DatasetConfig``, which also
            says how rows become samples.
        config: What decides the answers.
        **how: See RunKeywords.

    Returns:
        A report of the complete run. Failed samples are results, not exceptions.

    Raises:
        LmEvalError: The run could not be carried out; what was received is in the run directory.
        RunningLoopError: An event loop runs in this thread; `run_async` is for that.
        KeyboardInterrupt: Ctrl-C, after what was in flight has been written.
    """
    return complete(carry_out(dataset, config, **how))


def carry_out(
    dataset: Dataset | None = None, config: RunConfig | None = None, **how: Unpack[RunKeywords]
) -> RunReport:
    """`run`, with a report also of what stopped it; `complete` raises that."""
    _refuse_in_a_loop()
    source = source_of(dataset, how)
    path = source.spooled() if isinstance(source, Given) else source
    with _opened(path, config, how) as opened:
        heed_signals = how.get("handle_signals", True)
        report = event_loop.run(opened.run.carry_out(heed_signals=heed_signals))
        _end_tracking(opened, report)
        return report


async def run_async(
    dataset: Dataset | None = None, config: RunConfig | None = None, **how: Unpack[RunKeywords]
) -> RunReport:
    """`run`, in a running event loop.

    Signals are the program's: a Ctrl-C that cancels the task, as it does under `asyncio.run`, gives
    up what is in flight. With ``handle_signals=True`` it is waited for, as in `run`.
    """
    path = await _path_async(dataset, how)
    with _opened(path, config, how) as opened:
        report = await opened.run.carry_out(heed_signals=how.get("handle_signals", False))
        await asyncio.to_thread(_end_tracking, opened, report)
        return complete(report)


async def stream_async(
    dataset: Dataset | None = None, config: RunConfig | None = None, **how: Unpack[RunKeywords]
) -> AsyncGenerator[RunResult, None]:
    """`run`, yielding each result as soon as it is in the file, earlier ones included.

    A reader that falls behind slows the run; one that leaves ends it, keeping what was received.

    Raises:
        ConfigError: The results are written by the workers of a cluster, and do not come by here.
    """
    if works_by_shards(kind := engine_of(how).kind):
        raise ConfigError(
            f"engine={kind!r}: results are written by workers and cannot be streamed; "
            "use run(...), and read report.results()"
        )
    ahead: asyncio.Queue[RunResult | None] = asyncio.Queue(_AHEAD)
    path = await _path_async(dataset, how)
    with _opened(path, config, how, _Forward(ahead)) as opened:

        async def carry_out() -> RunReport:
            try:
                return await opened.run.carry_out(heed_signals=how.get("handle_signals", False))
            finally:
                await ahead.put(None)

        task = asyncio.create_task(carry_out())
        try:
            while (result := await ahead.get()) is not None:
                yield result
        except BaseException:  # the reader left, or was cancelled
            opened.run.stop.request(asyncio.CancelledError())
            while not task.done():
                _empty(ahead.get_nowait)  # so that nothing waits for a place in the queue
                await asyncio.wait([task], timeout=_POLL)
            raise
        report = await task
        await asyncio.to_thread(_end_tracking, opened, report)
        complete(report)


def stream(
    dataset: Dataset | None = None, config: RunConfig | None = None, **how: Unpack[RunKeywords]
) -> Iterator[RunResult]:
    """`stream_async`, for a plain ``for`` loop; the run goes on in a thread of its own."""
    ahead: queue.Queue[RunResult | BaseException | None] = queue.Queue(_AHEAD)
    leave: list[Callable[[], object]] = []

    async def forward() -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        leave.append(partial(asyncio.get_running_loop().call_soon_threadsafe, task.cancel))
        async with aclosing(stream_async(dataset, config, **how)) as results:
            async for result in results:
                if ahead.full():
                    await asyncio.to_thread(ahead.put, result)
                else:
                    ahead.put_nowait(result)

    def work() -> None:
        try:
            event_loop.run(forward())
            ahead.put(None)
        except BaseException as error:  # noqa: BLE001 - raised again where it is read
            ahead.put(error)

    thread = threading.Thread(target=work, name="lm-eval-so", daemon=True)
    thread.start()
    try:
        while (result := ahead.get()) is not None:
            if isinstance(result, BaseException):
                raise result
            yield result
    finally:
        with suppress(IndexError, RuntimeError):  # not begun yet, or over
            leave.pop()()
        while thread.is_alive():
            _empty(ahead.get_nowait)
            thread.join(_POLL)


def _refuse_in_a_loop() -> None:
    """Before anything is opened: what is left behind would stand in the way of the right call."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RunningLoopError(
        "an event loop runs here already, as in a coroutine or a notebook: "
        "await run_async(...) in the place of run(...), or call it by asyncio.to_thread"
    )


class _Forward(NullObserver):
    """Puts every result into a queue."""

    def __init__(self, ahead: asyncio.Queue[RunResult | None]) -> None:
        self._ahead = ahead

    async def result(self, result: RunResult) -> None:
        await self._ahead.put(result)

    async def answered_before(self, read: Callable[[], RunResult]) -> None:
        await self._ahead.put(read())

    async def answered_before_many(
        self,
        count: int,  # noqa: ARG002 - the protocol's
        read: Callable[[], Iterator[RunResult]],
    ) -> None:
        for result in read():
            await self._ahead.put(result)


async def _path_async(dataset: Dataset | None, how: RunKeywords) -> Dataset:
    source = source_of(dataset, how)
    return await source.spooled_async() if isinstance(source, Given) else source


def _opened(
    dataset: Dataset, config: RunConfig | None, how: RunKeywords, *observers: NullObserver
) -> AbstractContextManager[ObservedRun]:
    if config is None:
        raise ConfigError("a run needs a config: RunConfig(backend=..., model=...)")
    backend = backend_of(how.get("backend"), config)
    return observed_run(plan_of(dataset, config, how), *observers, backend=backend)


def _end_tracking(opened: ObservedRun, report: RunReport) -> None:
    tracked = opened.end_tracking(report)
    if tracked is not None and tracked.warning:
        warnings.warn(tracked.warning, stacklevel=2)


def complete(report: RunReport) -> RunReport:
    """The report, if the run came to its end; else raises why not."""
    fault = report.fault
    if isinstance(fault, InterruptedRunError):
        if fault.raised is not None:
            raise fault.raised
        if fault.exit_code != ExitCode.INTERRUPTED:
            raise SystemExit(fault.exit_code)
        raise KeyboardInterrupt
    if fault is not None:
        raise fault
    return report


def _empty(get: Callable[[], object]) -> None:
    with suppress(queue.Empty, asyncio.QueueEmpty):
        while True:
            get()
