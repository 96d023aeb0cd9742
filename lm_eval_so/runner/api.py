"""The runner from Python: blocking or async, as a report or as results while they come."""

import asyncio
import queue
import threading
import warnings
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractContextManager, aclosing, suppress
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TypedDict, Unpack

from lm_eval_so.runner.backends.base import ChatBackend, Send
from lm_eval_so.runner.backends.function import backend_of
from lm_eval_so.runner.config.schema import (
    DatasetConfig,
    EngineConfig,
    PromptConfig,
    RunnerOptions,
    RunPlan,
    TrackingConfig,
)
from lm_eval_so.runner.errors import RunningLoopError
from lm_eval_so.runner.models import RunConfig, RunResult
from lm_eval_so.runner.progress.observed_run import ObservedRun, observed_run
from lm_eval_so.runner.run import event_loop
from lm_eval_so.runner.run.exit_code import ExitCode
from lm_eval_so.runner.run.observer import NullObserver
from lm_eval_so.runner.run.report import RunReport
from lm_eval_so.runner.run.signals import InterruptedRunError

DatasetPath = str | PathLike[str]
_AHEAD = 1024
"""Results a stream may be ahead of who reads it."""
_POLL = 0.05  # seconds, while a stream that was left comes to its end


class RunKeywords(TypedDict, total=False):
    """Keywords that all functions here take.

    Attributes:
        options: How the run is carried out; the defaults are those of the command line.
        prompt: What is done to the messages of each sample before they are sent.
        backend: Answers instead of the backend that the config names; an ``async def
            send(request)`` will do.
        metadata: ``metadata.json``, where it does not stand beside the samples.
        variant: Sets the run apart from others of the same config.
        repeats: Times that each sample is asked; 1 if not given.
        engine: Kind of the engine that drives the requests; ``sync`` if not given.
        output_root: Run directories are made in it; ``outputs`` if not given.
        output_dir: Names the run directory itself.
        tracking: ``TrackingConfig(kind="mlflow")`` tells MLflow of the run.
        handle_signals: Ctrl-C, SIGTERM and SIGHUP stop the run as on the command line, and a
            handler of the program's own is called too. `run` does so unless this is False; the
            others leave signals alone unless it is True.
    """

    options: RunnerOptions
    prompt: PromptConfig
    backend: ChatBackend | Send
    metadata: DatasetPath
    variant: str
    repeats: int
    engine: str
    output_root: DatasetPath
    output_dir: DatasetPath
    tracking: TrackingConfig
    handle_signals: bool


def run(dataset: DatasetPath, config: RunConfig, **how: Unpack[RunKeywords]) -> RunReport:
    """Runs a config on a dataset; what an earlier call has answered is not asked again.

    Args:
        dataset: A directory with ``test.jsonl``, or a ``.jsonl`` or ``.jsonl.gz`` file.
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


def carry_out(dataset: DatasetPath, config: RunConfig, **how: Unpack[RunKeywords]) -> RunReport:
    """`run`, with a report also of what stopped it; `complete` raises that."""
    _refuse_in_a_loop()
    with _opened(dataset, config, how) as opened:
        heed_signals = how.get("handle_signals", True)
        report = event_loop.run(opened.run.carry_out(heed_signals=heed_signals))
        _end_tracking(opened, report)
        return report


async def run_async(
    dataset: DatasetPath, config: RunConfig, **how: Unpack[RunKeywords]
) -> RunReport:
    """`run`, in a running event loop.

    Signals are the program's: a Ctrl-C that cancels the task, as it does under `asyncio.run`, gives
    up what is in flight. With ``handle_signals=True`` it is waited for, as in `run`.
    """
    with _opened(dataset, config, how) as opened:
        report = await opened.run.carry_out(heed_signals=how.get("handle_signals", False))
        await asyncio.to_thread(_end_tracking, opened, report)
        return complete(report)


async def stream_async(
    dataset: DatasetPath, config: RunConfig, **how: Unpack[RunKeywords]
) -> AsyncGenerator[RunResult, None]:
    """`run`, yielding each result as soon as it is in the file, earlier ones included.

    A reader that falls behind slows the run; one that leaves ends it, keeping what was received.
    """
    ahead: asyncio.Queue[RunResult | None] = asyncio.Queue(_AHEAD)
    with _opened(dataset, config, how, _Forward(ahead)) as opened:

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
    dataset: DatasetPath, config: RunConfig, **how: Unpack[RunKeywords]
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


def _opened(
    dataset: DatasetPath, config: RunConfig, how: RunKeywords, *observers: NullObserver
) -> AbstractContextManager[ObservedRun]:
    backend = backend_of(how.get("backend"), config)
    return observed_run(_plan(dataset, config, how), *observers, backend=backend)


def _end_tracking(opened: ObservedRun, report: RunReport) -> None:
    tracked = opened.end_tracking(report)
    if tracked is not None and tracked.warning:
        warnings.warn(tracked.warning, stacklevel=2)


def _plan(dataset: DatasetPath, config: RunConfig, how: RunKeywords) -> RunPlan:
    metadata, output_dir = how.get("metadata"), how.get("output_dir")
    return RunPlan(
        dataset=DatasetConfig(
            path=Path(dataset), metadata=None if metadata is None else Path(metadata)
        ),
        prompt=how.get("prompt", PromptConfig()),
        run_config=config,
        variant=how.get("variant"),
        repeats=how.get("repeats", 1),
        options=how.get("options", RunnerOptions()),
        engine=EngineConfig(kind=how.get("engine", "sync")),
        output_root=Path(how.get("output_root", "outputs")),
        output_dir=None if output_dir is None else Path(output_dir),
        tracking=how.get("tracking", TrackingConfig()),
    )


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
