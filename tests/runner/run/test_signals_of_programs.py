"""Signals where a run is a part of a program that has a say in them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from conftest import rows
from lm_eval_so import ChatResponse, RunConfig, RunnerOptions, run, run_async, stream_async
from lm_eval_so.runner.run.signals import InterruptedRunError, on_signal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

STOPPING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
CONFIG = RunConfig(backend="simulated", model="m")
FIVE = RunnerOptions(max_concurrency=5)
by_name = pytest.mark.parametrize("number", STOPPING, ids=lambda number: number.name)


class Program:
    """The program's own handler: what it got, and what it raises."""

    def __init__(self) -> None:
        self.got: list[int] = []
        self.raises: BaseException | None = None

    def handler(self, number: int, _: object) -> None:
        self.got.append(number)
        if self.raises is not None:
            raise self.raises

    @property
    def is_in_place(self) -> bool:
        return all(signal.getsignal(number) == self.handler for number in STOPPING)


@pytest.fixture
def program() -> Iterator[Program]:
    made = Program()
    before = {number: signal.signal(number, made.handler) for number in STOPPING}
    yield made
    for number, handler in before.items():
        signal.signal(number, handler)


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.001)


class Held:
    """Answers when it is told to; `sent` counts what it was asked."""

    def __init__(self) -> None:
        self.sent = 0
        self.let_go = asyncio.Event()

    async def __call__(self, _request: object) -> ChatResponse:
        self.sent += 1
        await self.let_go.wait()
        return ChatResponse(text="fine")


@pytest.mark.parametrize("first_to_end", [0, 1], ids=["first", "second"])
def test_two_in_one_loop_hear_every_signal_until_they_end(
    program: Program, first_to_end: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lm_eval_so.runner.run.signals.ONE_REQUEST", 0.0)
    heard: list[list[InterruptedRunError]] = [[], []]
    end = [asyncio.Event(), asyncio.Event()]

    async def listen(number: int) -> None:
        with on_signal(heard[number].append):
            await end[number].wait()

    async def main() -> None:
        tasks = [asyncio.ensure_future(listen(number)) for number in (0, 1)]
        await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGTERM)
        await until(lambda: all(heard))
        assert heard[0] == heard[1]
        end[first_to_end].set()
        await tasks[first_to_end]
        os.kill(os.getpid(), signal.SIGHUP)
        other = 1 - first_to_end
        await until(lambda: len(heard[other]) == 2)
        assert len(heard[first_to_end]) == 1, "its run is over"
        end[other].set()
        await tasks[other]
        assert program.is_in_place

    asyncio.run(main())
    assert program.got == [signal.SIGTERM, signal.SIGHUP]


def test_what_the_program_installs_meanwhile_stays(program: Program) -> None:
    def newer(*_: object) -> None: ...

    async def main() -> None:
        with on_signal(lambda _: None):
            signal.signal(signal.SIGTERM, newer)

    asyncio.run(main())
    assert signal.getsignal(signal.SIGTERM) is newer
    assert signal.getsignal(signal.SIGINT) == program.handler


@by_name
def test_handlers_that_somebody_puts_back_later_hand_on(
    program: Program, number: signal.Signals
) -> None:
    async def main() -> None:
        with on_signal(lambda _: None):
            found = signal.getsignal(number)
        signal.signal(number, found)

    asyncio.run(main())
    os.kill(os.getpid(), number)
    assert program.got == [number]
    assert program.is_in_place


@pytest.mark.parametrize("another", [False, True], ids=["alone", "and-another-run"])
def test_a_loop_that_was_closed_under_a_run_hears_nothing(
    program: Program, *, another: bool
) -> None:
    loop, listening = asyncio.new_event_loop(), on_signal(lambda _: None)

    async def begin() -> None:
        listening.__enter__()

    async def listen() -> None:
        with on_signal(lambda _: None):
            pass

    loop.run_until_complete(begin())
    loop.close()
    if another:
        asyncio.run(listen())
    os.kill(os.getpid(), signal.SIGTERM)
    assert program.got == [signal.SIGTERM]
    assert program.is_in_place
    listening.__exit__(None, None, None)
    assert program.is_in_place


def test_in_a_loop_signals_are_left_to_the_program(
    program: Program, make_dataset: Callable[..., Path]
) -> None:
    found: list[bool] = []

    async def send(_request: object) -> ChatResponse:
        found.append(program.is_in_place)
        os.kill(os.getpid(), STOPPING[len(found) % 3])
        return ChatResponse(text="fine")

    async def main() -> None:
        dataset = make_dataset(4)
        await asyncio.gather(
            *(run_async(dataset, CONFIG, backend=send, output_dir=f"run{n}") for n in (1, 2))
        )
        async for _ in stream_async(dataset, CONFIG, backend=send, output_dir="run3"):
            pass

    asyncio.run(main())
    assert found == [True] * 12
    assert len(program.got) == 12


@pytest.mark.parametrize("policy", [asyncio.new_event_loop, None], ids=["asyncio", "uvloop"])
@pytest.mark.usefixtures("program")
@by_name
def test_if_asked_a_signal_stops_both_the_run_and_the_program(
    number: signal.Signals,
    policy: Callable[[], asyncio.AbstractEventLoop] | None,
    make_dataset: Callable[..., Path],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if policy is None:
        policy = pytest.importorskip("uvloop").new_event_loop
    told: list[int] = []

    async def main() -> None:
        held = Held()
        asyncio.get_running_loop().add_signal_handler(number, told.append, number)
        running = asyncio.ensure_future(
            run_async(
                make_dataset(50),
                CONFIG,
                backend=held,
                options=FIVE,
                output_dir="run",
                handle_signals=True,
            )
        )
        await until(lambda: held.sent == 5)
        os.kill(os.getpid(), number)
        await until(lambda: told and "nothing more is sent" in caplog.text)
        for _ in range(200):  # turns in which all workers begin, and those without a slot go home
            await asyncio.sleep(0)
        held.let_go.set()
        await running

    ended = KeyboardInterrupt if number == signal.SIGINT else SystemExit
    with pytest.raises(ended), asyncio.Runner(loop_factory=policy) as runner:
        runner.run(main())
    assert told == [number]
    assert len(rows(tmp_path / "run/run_results.jsonl")) == 5
    metadata = orjson.loads((tmp_path / "run/run_metadata.json").read_bytes())
    assert metadata["state"] == "partial"


@pytest.mark.parametrize("asynchronous", [False, True], ids=["run", "run_async"])
@by_name
def test_what_the_programs_handler_raises_waits_for_what_is_in_flight(
    program: Program,
    number: signal.Signals,
    make_dataset: Callable[..., Path],
    tmp_path: Path,
    *,
    asynchronous: bool,
) -> None:
    program.raises = SystemExit("the program's own words")
    sent: list[object] = []

    async def send(request: object) -> ChatResponse:
        sent.append(request)
        if len(sent) == 5:
            os.kill(os.getpid(), number)
        await until(lambda: program.got)
        await asyncio.sleep(0.01)  # the loop's turn, in which the run hears of it
        return ChatResponse(text="fine")

    how: dict[str, Any] = {"backend": send, "options": FIVE, "output_dir": "run"}
    with pytest.raises(SystemExit, match="own words"):
        if asynchronous:
            asyncio.run(run_async(make_dataset(50), CONFIG, handle_signals=True, **how))
        else:
            run(make_dataset(50), CONFIG, **how)
    assert len(rows(tmp_path / "run/run_results.jsonl")) == len(sent) == 5
    assert program.got == [number]
    assert program.is_in_place


def test_a_blocking_run_can_leave_them_too(
    program: Program, make_dataset: Callable[..., Path]
) -> None:
    async def send(_request: object) -> ChatResponse:
        os.kill(os.getpid(), signal.SIGTERM)
        return ChatResponse(text="fine")

    report = run(make_dataset(3), CONFIG, backend=send, output_dir="run", handle_signals=False)
    assert report.state == "complete"
    assert len(program.got) == 3


BESIDE = """
import asyncio, os, signal, sys
from lm_eval_so import RunConfig, run_async

async def main():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    await asyncio.gather(*(
        run_async(
            sys.argv[1],
            RunConfig(backend="simulated", model=f"m{ms}", backend_options={"latency_ms": ms}),
            handle_signals=sys.argv[2] == "asked",
        )
        for ms in (1, 100)
    ))
    assert before == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

asyncio.run(main())
print("over", flush=True)
os.kill(os.getpid(), getattr(signal, sys.argv[3]))
print("still there")
"""


@pytest.mark.parametrize("asked", ["asked", "not-asked"])
@by_name
def test_after_two_runs_in_one_loop_signals_end_the_process_as_ever(
    number: signal.Signals, asked: str, make_dataset: Callable[..., Path]
) -> None:
    words = [sys.executable, "-c", BESIDE, str(make_dataset(5)), asked, number.name]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "over\n", done.stderr
    assert done.returncode == -number
    assert "Event loop is closed" not in done.stderr


BUSY = """
import asyncio, os, signal, sys, threading, time
from lm_eval_so import ChatResponse, RunConfig, run_async

async def held(request):
    await asyncio.sleep(3600)
    return ChatResponse(text="fine")

async def main():
    running = asyncio.ensure_future(run_async(
        sys.argv[1], RunConfig(backend="simulated", model="m"), backend=held, output_dir="run"))
    await asyncio.sleep(0.2)
    threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT]).start()
    while True:
        time.sleep(0.01)  # a busy cell of a notebook

loop = asyncio.new_event_loop()
try:
    loop.run_until_complete(main())
except KeyboardInterrupt:
    print("interrupted")
"""


def test_in_a_notebook_ctrl_c_reaches_what_blocks_beside_a_run(
    make_dataset: Callable[..., Path],
) -> None:
    words = [sys.executable, "-c", BUSY, str(make_dataset(5))]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "interrupted\n", done.stderr


def test_a_ctrl_c_that_cancels_the_task_keeps_what_was_received(
    make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    sent: list[float] = []

    async def send(_request: object) -> ChatResponse:
        sent.append(time.monotonic())
        if len(sent) == 8:
            os.kill(os.getpid(), signal.SIGINT)
        if len(sent) > 3:
            await asyncio.sleep(3600)
        return ChatResponse(text="fine")

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(
            run_async(make_dataset(50), CONFIG, backend=send, options=FIVE, output_dir="run")
        )
    assert len(rows(tmp_path / "run/run_results.jsonl")) == 3
    metadata = orjson.loads((tmp_path / "run/run_metadata.json").read_bytes())
    assert metadata["state"] == "partial"
