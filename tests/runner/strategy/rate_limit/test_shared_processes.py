"""Real processes that share limits, stopped and killed; all bounds on time are generous."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.runner.strategy.rate_limit.file import LimitFile
from support import take_turns
from support.clocks import monotonic_clock
from support.patience import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RATE = 100.0


class Worker:
    """A process that takes turns, and when it started what.

    Args:
        skew: Seconds that its wall clock is ahead.
        booted: Seconds that its monotonic clock is ahead.
    """

    def __init__(
        self, path: Path, *, rate: float = RATE, skew: float = 0.0, booted: int = 0
    ) -> None:
        words = monotonic_clock(booted) if booted else []
        words += [sys.executable, take_turns.__file__, str(path), str(rate), str(skew)]
        self._booted = booted
        self._output = path.with_suffix(f".{time.monotonic_ns()}")
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(words, stdout=output, stderr=subprocess.PIPE)

    @property
    def starts(self) -> list[float]:
        whole, _, _ = self._output.read_text().rpartition("\n")
        return [float(line) - self._booted for line in whole.split()]

    def since(self, began: float) -> int:
        return sum(start > began for start in self.starts)

    def send(self, number: signal.Signals) -> float:
        """Sends a signal; returns when."""
        os.kill(self.process.pid, number)
        return time.monotonic()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "limits.json"


@contextmanager
def working(*workers: Worker) -> Iterator[None]:
    try:
        wait_for(lambda: all(worker.starts for worker in workers))
        yield
    finally:
        for worker in workers:
            worker.process.kill()
            worker.process.communicate()


@pytest.mark.parametrize(
    ("skew", "booted"), [(0.0, 0), (0.5, 0), (-3600.0, 0), (0.5, 100_000)], ids=str
)
def test_two_processes_keep_one_limit_and_share_it(path: Path, skew: float, booted: int) -> None:
    one, other = Worker(path), Worker(path, skew=skew, booted=booted)
    with working(one, other):
        began = time.monotonic() + 0.5
        wait_for(lambda: one.since(began) + other.since(began) >= 900)
        times = sorted(start for start in one.starts + other.starts if start > began)[:900]
        assert times[-1] - times[0] >= 899 / RATE * 0.93, "not faster than the limit"
        assert min(one.since(began), other.since(began)) >= 225, "neither is starved"


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL], ids=["stopped", "killed"])
def test_a_holder_that_is_stopped_or_killed_delays_nobody(
    path: Path, number: signal.Signals
) -> None:
    gone, one = Worker(path), Worker(path)
    with working(gone, one):
        began = gone.send(number)
        wait_for(lambda: one.since(began) >= 3 * RATE)
        assert gone.since(began + 0.1) == 0


def test_a_holder_that_goes_on_gives_up_what_it_missed(path: Path) -> None:
    one = Worker(path)
    with working(one):
        one.send(signal.SIGSTOP)
        time.sleep(2)
        began = one.send(signal.SIGCONT)
        wait_for(lambda: one.since(began) >= 200)
        after = [start for start in one.starts if start > began][:200]
        assert after[-1] - after[0] >= 199 / RATE * 0.85, "two seconds' worth is not caught up"


def test_a_process_that_keeps_the_lock_holds_up_nobody_for_long(path: Path) -> None:
    one, other = Worker(path), Worker(path)
    with working(one, other):
        lock = LimitFile(path)
        wait_for(lock.try_lock)
        began = time.monotonic()
        wait_for(lambda: min(one.since(began), other.since(began)) >= 100)
        times = sorted(start for start in one.starts + other.starts if start > began + 2)
        assert len(times) <= (times[-1] - times[0]) * RATE * 1.1 + 12, "they still share"
        lock.unlock()


@pytest.mark.parametrize("kept", [False, True], ids=["for-a-start", "for-the-lock"])
def test_an_interrupt_ends_every_wait(path: Path, *, kept: bool) -> None:
    one = Worker(path, rate=0.01)
    with working(one):
        lock = LimitFile(path)
        if kept:
            wait_for(lock.try_lock)
        one.send(signal.SIGINT)
        assert one.process.wait(60) != 0, "the next start is in 100 s"
        assert one.process.stderr is not None
        assert b"KeyboardInterrupt" in one.process.stderr.read()
