"""Signals, whatever the process is doing when they come."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import orjson
import pytest

from conftest import program, rows
from lm_eval_so.runner.run.exit_code import by_signal
from lm_eval_so.runner.run.signals import ONE_REQUEST, InterruptedRunError, on_signal
from support.fake_openai import FakeOpenAI, Reply
from support.patience import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

STOPPING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
each_with_what_it_raises = pytest.mark.parametrize(
    ("number", "raised"),
    list(zip(STOPPING, [KeyboardInterrupt, SystemExit, SystemExit], strict=True)),
)


@pytest.fixture(autouse=True)
def _signals_as_usual() -> Iterator[None]:
    """Under ``nohup`` children would ignore SIGHUP, and that is what one test is about."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def _each_signal_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if they came seconds apart."""
    monkeypatch.setattr("lm_eval_so.runner.run.signals.ONE_REQUEST", 0.0)


def start(*command: str, prefix: tuple[str, ...] = (), **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*prefix, *command],
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def of(dataset: Path, *more: str) -> list[str]:
    return [*program(), "dataset=path", f"dataset.path={dataset}", "output_dir=run", *more]


def test_a_terminal_that_goes_away_is_a_request_to_stop(
    make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    with FakeOpenAI(lambda _received, _nth: Reply(latency=0.5)) as server:
        run = of(make_dataset(200), "backend=openai", "model=m", "runner.max_concurrency=10")
        process = start(*run, **server.env)
        wait_for(lambda: len(server.requests) >= 15)
        process.send_signal(signal.SIGHUP)
        _, errors = process.communicate(timeout=60)
        sent = len(server.requests)
    assert process.returncode == 129, errors
    assert len(rows(tmp_path / "run" / "run_results.jsonl")) == sent < 50
    metadata = orjson.loads((tmp_path / "run" / "run_metadata.json").read_bytes())
    assert metadata["state"] == "partial"


def test_a_sweep_ends_with_the_signal_of_its_cell(
    make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    with FakeOpenAI(lambda _received, _nth: Reply(latency=2)) as server:
        run = of(make_dataset(50), "backend=openai", "-m", "model=a,b")
        run.remove("output_dir=run")
        process = start(*run, **server.env)
        wait_for(lambda: len(server.requests) >= 1)
        process.send_signal(signal.SIGHUP)
        _, errors = process.communicate(timeout=60)
        assert {request.body["model"] for request in server.requests} == {"a"}
    assert process.returncode == 129, errors
    (record,) = (tmp_path / "outputs" / "numbers" / "sweeps").glob("*/sweep.json")
    assert [cell["exit_code"] for cell in orjson.loads(record.read_bytes())["cells"]] == [129, None]


def test_what_nohup_protects_goes_on(make_dataset: Callable[..., Path], tmp_path: Path) -> None:
    with FakeOpenAI(lambda _received, _nth: Reply(latency=0.3)) as server:
        run = of(make_dataset(20), "backend=openai", "model=m", "runner.max_concurrency=5")
        process = start(*run, prefix=("nohup",), **server.env)
        wait_for(lambda: len(server.requests) >= 5)
        process.send_signal(signal.SIGHUP)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert len(rows(tmp_path / "run" / "run_results.jsonl")) == 20


ONCE_READ = """
import os, sys
from lm_eval_so.runner.hydra_app import app
from lm_eval_so.runner.dataset import base

whole = base.open_file
opened = 0

def open_file(path):
    global opened
    opened += 1
    if opened > 1:  # a file system that does not answer any more
        os.mkfifo("silent")
        print("blocked", flush=True)
        return open("silent", "rb")
    return whole(path)

base.open_file = open_file
app.script()
"""


@pytest.mark.parametrize("number", STOPPING, ids=lambda number: number.name)
def test_a_blocked_call_does_not_hide_the_first_signal(
    number: signal.Signals, make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "blocked.py").write_text(ONCE_READ)
    run = of(make_dataset(3), "backend=simulated", "model=m")[1:]
    process = start(sys.executable, str(tmp_path / "blocked.py"), *run)
    assert process.stdout is not None
    assert process.stdout.readline() == "blocked\n"
    process.send_signal(number)
    _, errors = process.communicate(timeout=100)
    assert process.returncode == 128 + number, errors
    assert "Traceback" not in errors
    assert "Resume with: lm-eval-so" in errors
    metadata = orjson.loads((tmp_path / "run" / "run_metadata.json").read_bytes())
    assert metadata["state"] == "partial"


HANGING = """
import asyncio, os, sys, threading, time
from lm_eval_so import ChatResponse
from lm_eval_so.runner.hydra_app import app
from lm_eval_so.runner.backends.simulated import SimulatedBackend
from lm_eval_so.runner.run.signals import StopRequests

is_new = StopRequests.is_new

def told(self, number):
    found = is_new(self, number)
    os.write(1, b"heard\\n")
    return found

StopRequests.is_new = told

async def in_a_thread(self, request):
    print("blocked", flush=True)
    await asyncio.to_thread(time.sleep, 1000)

async def in_the_loop(self, request):
    print("blocked", flush=True)
    while True:
        try:
            time.sleep(1000)
        except Exception:  # as careless code does
            pass

SimulatedBackend.send = {where}
app.script()
"""


@pytest.mark.parametrize("number", STOPPING, ids=lambda number: number.name)
@pytest.mark.parametrize("where", ["in_a_thread", "in_the_loop"])
def test_the_second_signal_ends_the_process_whatever_blocks(
    where: str, number: signal.Signals, make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "hanging.py").write_text(HANGING.format(where=where))
    run = of(make_dataset(1), "backend=simulated", "model=m", "runner.drain_timeout=0.1")[1:]
    process = start(sys.executable, str(tmp_path / "hanging.py"), *run)
    assert process.stdout is not None
    assert process.stdout.readline() == "blocked\n"
    process.send_signal(number)
    assert process.stdout.readline() == "heard\n"
    time.sleep(ONE_REQUEST + 0.5)
    assert process.poll() is None
    process.send_signal(number)
    process.communicate(timeout=100)
    # Where the run is over and only its thread hangs, SIGTERM and SIGHUP have their usual effect.
    assert process.returncode in {128 + number, -number}


AT_THE_END = """
import atexit, time

def wait():
    print("at the end", flush=True)
    time.sleep(1000)

def main():
    atexit.register(wait)
    return 1

from lm_eval_so.runner.hydra_app import app
app.main = main
app.script()
"""


def test_ctrl_c_at_the_end_changes_nothing_of_how_it_ended(tmp_path: Path) -> None:
    (tmp_path / "ending.py").write_text(AT_THE_END)
    process = start(sys.executable, str(tmp_path / "ending.py"))
    assert process.stdout is not None
    assert process.stdout.readline() == "at the end\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=100)
    assert (process.returncode, errors) == (1, "")


class Blocked:
    """Code that never gives the loop a turn; only what a signal raises ends it."""

    def __init__(self) -> None:
        self.entered = threading.Event()

    def __call__(self) -> None:
        self.entered.set()
        while True:
            time.sleep(0.01)


def press(number: signal.Signals, blocked: Blocked) -> None:
    def work() -> None:
        blocked.entered.wait()
        os.kill(os.getpid(), number)

    threading.Thread(target=work, daemon=True).start()


@pytest.mark.parametrize("number", STOPPING, ids=lambda number: number.name)
def test_a_blocked_loop_is_interrupted_where_it_hangs(number: signal.Signals) -> None:
    blocked, requests = Blocked(), list[InterruptedRunError]()

    async def main() -> None:
        with on_signal(requests.append, patience=0.2):
            press(number, blocked)
            with pytest.raises(InterruptedRunError) as raised:
                blocked()
            assert raised.value.exit_code == 128 + number
            await asyncio.sleep(0)
            assert requests == [raised.value], "the request is the same one"

    asyncio.run(main())


@pytest.mark.usefixtures("_each_signal_counts")
@each_with_what_it_raises
def test_who_hides_the_first_from_itself_gets_another_for_the_second(
    number: signal.Signals, raised: type[BaseException]
) -> None:
    blocked = Blocked()

    async def main() -> None:
        with on_signal(lambda _: None, patience=0.2):
            press(number, blocked)
            with pytest.raises(raised):
                while True:
                    try:
                        blocked()
                    except InterruptedRunError:
                        press(number, blocked)

    asyncio.run(main())


@pytest.mark.usefixtures("_each_signal_counts")
@each_with_what_it_raises
def test_the_second_counts_where_it_comes_in_the_moment_in_which_the_first_is_overdue(
    number: signal.Signals, raised: type[BaseException]
) -> None:
    """As in a process that has stood still: all that came is delivered at once."""
    held_back = set(signal.Signals) - {signal.SIGALRM}

    def blocks() -> None:
        os.kill(os.getpid(), number)
        signal.pthread_sigmask(signal.SIG_BLOCK, held_back)
        time.sleep(1.0)
        signal.pthread_kill(threading.get_ident(), number)
        for _ in range(2):
            with suppress(InterruptedRunError):
                signal.pthread_sigmask(signal.SIG_UNBLOCK, held_back)
                time.sleep(30.0)

    async def main() -> None:
        with on_signal(lambda _: None, patience=0.2), pytest.raises(raised):
            blocks()

    asyncio.run(main())


@pytest.mark.usefixtures("_each_signal_counts")
def test_a_loop_that_runs_is_only_asked() -> None:
    requests = list[InterruptedRunError]()

    async def main() -> None:
        with on_signal(requests.append, patience=0.1):
            for number in STOPPING:
                os.kill(os.getpid(), number)
                while len(requests) < STOPPING.index(number) + 1:
                    await asyncio.sleep(0)
            await asyncio.sleep(0.2)

    asyncio.run(main())
    assert [request.exit_code for request in requests] == [130, 143, 129]


def test_afterwards_the_handlers_are_those_of_before() -> None:
    def handler(*_: object) -> None: ...

    before = {number: signal.signal(number, handler) for number in STOPPING}

    async def main() -> None:
        with on_signal(lambda _: None):
            assert all(signal.getsignal(number) is not handler for number in STOPPING)

    asyncio.run(main())
    assert all(signal.getsignal(number) is handler for number in STOPPING)
    for number, usual in before.items():
        signal.signal(number, usual)


def test_a_signal_that_is_ignored_stays_so() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    async def main() -> None:
        with on_signal(lambda _: None):
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN

    asyncio.run(main())


@pytest.mark.parametrize(
    ("code", "signalled"), [(0, False), (1, False), (2, False), (129, True), (130, True)]
)
def test_exit_codes_above_128_are_those_of_signals(code: int, *, signalled: bool) -> None:
    assert by_signal(code) is signalled


def twice(number: signal.Signals) -> list[InterruptedRunError]:
    """What a run is asked for by two signals within a moment."""
    asked: list[InterruptedRunError] = []

    async def main() -> None:
        with on_signal(asked.append):
            for _ in range(2):
                os.kill(os.getpid(), number)
                await asyncio.sleep(0.01)

    asyncio.run(main())
    return asked


@pytest.mark.parametrize(
    ("number", "requests"), [(signal.SIGINT, 2), (signal.SIGTERM, 1), (signal.SIGHUP, 1)]
)
def test_of_two_signals_within_a_moment_only_ctrl_c_is_impatience(
    number: signal.Signals, requests: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cluster's manager sends SIGTERM to the process, and once more through its parent."""
    monkeypatch.setattr("lm_eval_so.runner.run.signals.ONE_REQUEST", 600.0)
    assert len(twice(number)) == requests


@pytest.mark.usefixtures("_each_signal_counts")
@pytest.mark.parametrize("number", STOPPING)
def test_a_later_signal_is_impatience_whatever_it_is(number: signal.Signals) -> None:
    assert len(twice(number)) == 2


def test_a_time_limit_of_a_cluster_costs_no_answer(
    make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    with FakeOpenAI(lambda _received, _nth: Reply(latency=0.5)) as server:
        run = of(make_dataset(200), "backend=openai", "model=m", "runner.max_concurrency=10")
        process = start(*run, **server.env)
        wait_for(lambda: len(server.requests) >= 15)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        time.sleep(0.04)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
        sent = len(server.requests)
    assert process.returncode == 143, errors
    assert len(rows(tmp_path / "run" / "run_results.jsonl")) == sent
    metadata = orjson.loads((tmp_path / "run" / "run_metadata.json").read_bytes())
    assert metadata["summary"]["status_counts"]["ok"] == sent
