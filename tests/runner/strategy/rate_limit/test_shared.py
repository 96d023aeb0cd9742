"""Processes that share limits, in virtual time: each has its own clocks, all have one real file."""

from __future__ import annotations

import asyncio
import json
from bisect import bisect_left
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lm_eval_so.runner.strategy.rate_limit.bucket import Bucket
from lm_eval_so.runner.strategy.rate_limit.file import LimitFile
from lm_eval_so.runner.strategy.rate_limit.limiter import RateLimiter
from lm_eval_so.runner.strategy.rate_limit.shared import SharedLimits
from support.stepped_time import Time

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BURST_S = 0.8  # seconds' worth of a limit a minute that may start at once
LEASE_S = 0.25
LATE_S = 0.1  # that a leased start may be used late
EPOCH = 1_000_000.0  # what wall clocks show at the true time 0


class Process:
    """One of those that share; `starts` are in true time.

    Args:
        booted: What its monotonic clock is ahead of the true time.
        wall: What its wall clock is ahead of the true time.
        machine: Names the machine whose monotonic clock it reads.
    """

    def __init__(
        self,
        path: Path,
        time: Time,
        rate: float | None = None,
        *,
        booted: float = 0.0,
        wall: float = 0.0,
        longest_pause: float = 600.0,
        machine: str | None = None,
        **per_minute: float | None,
    ) -> None:
        self.time = time
        self.wall = wall
        self.reads = 0
        file = LimitFile(path, clock=self.clock, sleep=time.sleep)
        self._read = file.read
        self._booted = booted
        file.read = self._counted_read  # type: ignore[method-assign]
        self.limits = SharedLimits(
            file,
            longest_pause=longest_pause,
            clock=self.clock,
            clock_of=machine,
            wall=lambda: EPOCH + time.now + self.wall,
        )
        self.limiter = RateLimiter(
            rate, per_minute=per_minute, limits=self.limits, sleep=time.sleep
        )
        self.starts: list[float] = []

    def clock(self) -> float:
        return self.time.now + self._booted

    def wall_clock(self) -> float:
        return EPOCH + self.time.now + self.wall

    def _counted_read(self) -> object:
        self.reads += 1
        return self._read()

    async def work(
        self, until: float, *, at_once: int = 16, takes: float = 0.1, tokens: float = 0.0
    ) -> None:
        """Asks for a turn, is busy for a while, asks again; ``at_once`` times in parallel."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(at_once):
                tasks.create_task(self._one(until, takes, tokens))

    async def _one(self, until: float, takes: float, tokens: float) -> None:
        while self.time.now < until:
            await self.limiter.acquire(tokens)
            if self.time.now < until:
                self.starts.append(self.time.now)
            await self.time.sleep(takes)

    async def work_and_die(self, at: float) -> None:
        """Is killed, or stopped for good, with a lease in its hands."""
        working = asyncio.ensure_future(self.work(at + 999))
        await self.time.sleep(at - self.time.now)
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working


def most_within(starts: list[float], seconds: float) -> int:
    starts = sorted(starts)
    return max(
        (bisect_left(starts, start + seconds) - n for n, start in enumerate(starts)), default=0
    )


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".limits/endpoint.json"


@pytest.mark.parametrize("number", [1, 2, 3, 8], ids=str)
@pytest.mark.parametrize("rate", [2.0, 20.0, 300.0], ids=str)
def test_together_they_use_the_limit_and_keep_it(
    path: Path, time: Time, number: int, rate: float
) -> None:
    seconds = max(6.0, 40 / rate)
    processes = [Process(path, time, rate, booted=100.0 * n) for n in range(number)]
    began = time.now
    time.run(*(one.work(began + seconds, at_once=32, takes=0.05) for one in processes))
    starts = [start for one in processes for start in one.starts]
    assert len(starts) == pytest.approx(seconds * rate, rel=0.04, abs=1)
    assert most_within(starts, 1.0) <= rate * 1.06 + 1
    fair = len(starts) / number
    assert all(0.7 * fair - 1 <= len(one.starts) <= 1.4 * fair + 1 for one in processes)


@pytest.mark.parametrize("number", [1, 2, 4], ids=str)
@pytest.mark.parametrize("rate", [2.0, 20.0, 300.0], ids=str)
def test_the_same_goes_for_limits_a_minute(
    path: Path, time: Time, number: int, rate: float
) -> None:
    seconds = max(6.0, 40 / rate)
    processes = [Process(path, time, requests=60 * rate) for _ in range(number)]
    began = time.now
    time.run(*(one.work(began + seconds, at_once=32, takes=0.05) for one in processes))
    starts = [start for one in processes for start in one.starts]
    assert len(starts) == pytest.approx((seconds + BURST_S) * rate, rel=0.04, abs=2)
    assert most_within(starts, 1.0) <= rate * (1.06 + BURST_S) + 1
    late = sorted(len([start for start in one.starts if start > began + 2]) for one in processes)
    assert late[0] > 0.7 * late[-1] - 2


def test_tokens_are_shared_by_estimate_and_corrected(path: Path, time: Time) -> None:
    processes = [Process(path, time, tokens=60 * 1000) for _ in range(2)]

    async def work(one: Process) -> None:
        for _ in range(50):
            turn = await one.limiter.acquire(400)
            one.limiter.correct(turn, 100)

    began = time.now
    time.run(*(work(one) for one in processes))
    assert time.now - began == pytest.approx(100 * 100 / 1000, rel=0.15)


@given(
    rate=st.sampled_from([3.0, 20.0, 150.0]),
    minute=st.booleans(),
    hosts=st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.5, -0.5, 3600.0, -3600.0]),  # wall clock
            st.integers(1, 30),  # at once
            st.sampled_from([0.01, 0.1, 0.9]),  # seconds that a request takes
            st.sampled_from([0.0, 0.3, 1.7]),  # when it comes
        ),
        min_size=1,
        max_size=4,
    ),
)
@example(rate=20.0, minute=True, hosts=[(0.0, 1, 0.01, 1.7), (0.0, 1, 0.9, 0.0)])
@example(rate=20.0, minute=True, hosts=[(0.0, 1, 0.9, 0.0), (0.0, 2, 0.01, 1.7)])
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_in_no_window_do_they_start_more_than_the_schedule_holds(
    tmp_path_factory: pytest.TempPathFactory,
    rate: float,
    minute: bool,  # noqa: FBT001 - hypothesis names it
    hosts: list[tuple[float, int, float, float]],
) -> None:
    path, time = tmp_path_factory.mktemp("limits") / "x.json", Time()
    began = time.now
    processes: list[Process] = []

    async def host(wall: float, at_once: int, takes: float, comes: float) -> None:
        await time.sleep(comes)
        per_minute = {"requests": 60 * rate} if minute else {}
        one = Process(path, time, None if minute else rate, wall=wall, **per_minute)
        processes.append(one)
        await one.work(began + 5, at_once=at_once, takes=takes)

    time.run(*(host(*one) for one in hosts))
    starts = [start for one in processes for start in one.starts]
    # A host whose clock is an hour ahead of the others' fills the bucket once more when it comes.
    # So does one that comes late: it cannot tell a difference of clocks from time that has passed.
    first = min(wall for wall, *_ in hosts)
    late_or_ahead = sum(wall > first + 2 or comes > 0 for wall, _, _, comes in hosts)
    bursts = BURST_S * (1 + late_or_ahead) if minute else 0
    for seconds in (0.5, 1.0, 3.0):
        allowed = rate * (seconds + bursts) + 1
        lag = LEASE_S * rate if len(hosts) > 1 else 0  # until the clocks of two hosts have met
        late = LATE_S * rate if len(hosts) > 1 else 0  # a leased start is used up to so late
        assert most_within(starts, seconds) <= allowed + lag + late + 1


@pytest.mark.parametrize("comes", [0.0, 0.3, 1.7, 4.0], ids=str)
@pytest.mark.parametrize("wall", [0.0, 0.5, -3600.0], ids=str)
def test_on_one_machine_who_comes_later_fills_no_bucket_once_more(
    path: Path, time: Time, wall: float, comes: float
) -> None:
    """Whatever the wall clock was set to meanwhile."""
    began = time.now
    slow = Process(path, time, machine="m", requests=1200.0)
    quick: list[Process] = []

    async def come() -> None:
        await time.sleep(comes)
        quick.append(Process(path, time, machine="m", wall=wall, requests=1200.0))
        await quick[0].work(began + 6, at_once=2, takes=0.01)

    time.run(slow.work(began + 6, at_once=1, takes=0.9), come())
    starts = [*slow.starts, *quick[0].starts]
    assert most_within(starts, 0.5) <= 20 * (0.5 + BURST_S + LATE_S) + 1
    assert most_within(starts, 3.0) <= 20 * (3.0 + BURST_S + LATE_S) + 1


@pytest.mark.parametrize("skew", [0.01, 0.5, -0.5, 30.0, -3600.0], ids=str)
@pytest.mark.parametrize("minute", [False, True], ids=["evenly", "a-minute"])
def test_hosts_whose_clocks_differ_share_fairly_and_keep_the_limit(
    path: Path, time: Time, skew: float, *, minute: bool
) -> None:
    began, seconds = time.now, 15.0
    per_minute = {"requests": 1200.0} if minute else {}
    right, wrong = (
        Process(path, time, None if minute else 20.0, wall=wall, booted=wall * 7, **per_minute)
        for wall in (0.0, skew)
    )
    time.run(right.work(began + seconds), wrong.work(began + seconds))
    together = len(right.starts) + len(wrong.starts)
    # A clock that is half a minute ahead looks like half a minute in which nobody was here.
    burst = BURST_S * 20 * (2 if skew > 2 else 1) if minute else 0
    assert seconds * 20 * 0.95 <= together <= seconds * 20 * 1.01 + burst
    assert min(len(right.starts), len(wrong.starts)) > together / 3


@pytest.mark.parametrize("minute", [False, True], ids=["evenly", "a-minute"])
def test_a_wall_clock_that_is_set_back_holds_up_nobody(
    path: Path, time: Time, *, minute: bool
) -> None:
    per_minute = {"requests": 1200.0} if minute else {}
    rate = None if minute else 20.0
    before = Process(path, time, rate, **per_minute)
    began = time.now

    async def set_back() -> None:
        await time.sleep(2)
        before.wall = -3600
        after = Process(path, time, rate, wall=-3600, **per_minute)
        await after.work(began + 6)
        assert after.starts[0] < began + 2.6

    time.run(before.work(began + 6), set_back())
    gaps = [b - a for a, b in zip(before.starts, before.starts[1:], strict=False)]
    assert max(gaps) < 1


@pytest.mark.parametrize("rate", [4.0, 20.0, 300.0], ids=str)
def test_after_a_holder_has_died_the_others_go_on_at_the_full_rate(
    path: Path, time: Time, rate: float
) -> None:
    began = time.now
    dead, one, other = (Process(path, time, rate) for _ in range(3))
    time.run(dead.work_and_die(began + 2), one.work(began + 6), other.work(began + 6))
    after = sorted(s for s in one.starts + other.starts if s > began + 2)
    assert after[0] < began + 2 + 2 * LEASE_S + 1 / rate
    assert len(after) >= rate * (4 - LEASE_S) - 2


def test_starts_that_come_late_are_given_up_and_not_bunched(path: Path, time: Time) -> None:
    one = Process(path, time, 100.0)

    async def stopped() -> None:
        await time.sleep(2.05)
        time.now += 5  # nobody gets to do anything for this long

    began = time.now
    time.run(one.work(began + 10), stopped())
    assert most_within(one.starts, 0.05) <= 0.05 * 100 + 0.1 * 100 + 1
    assert len(one.starts) == pytest.approx(500, rel=0.06)


def test_a_pause_holds_for_all_processes(path: Path, time: Time) -> None:
    one, other = Process(path, time, 50.0), Process(path, time, 50.0)
    began = time.now

    async def refused() -> None:
        await time.sleep(1)
        one.limiter.pause(5)

    time.run(one.work(began + 8), other.work(began + 8), refused())
    for process in (one, other):
        within = [s for s in process.starts if began + 1 < s < began + 6]
        assert [s for s in within if s > began + 1 + LEASE_S] == []
        after = [s for s in process.starts if s >= began + 6]
        assert after[0] < began + 6.5
    assert most_within([s for s in one.starts + other.starts if s > began + 5], 1.0) <= 55


def test_a_pause_is_told_though_nobody_of_this_process_waits(path: Path, time: Time) -> None:
    one, other = Process(path, time), Process(path, time)
    one.limiter.pause(5)
    began = time.now
    time.run(other.work(began + 6, at_once=1))
    assert other.starts[0] == pytest.approx(began + 5, abs=0.01)
    assert one.limiter.paused_s == 0


def test_who_asks_for_a_pause_keeps_it_though_the_file_is_in_use(path: Path, time: Time) -> None:
    one, other = Process(path, time), Process(path, time)
    lock = LimitFile(path)
    assert lock.try_lock()
    one.limiter.pause(5)
    lock.unlock()
    assert one.limiter.paused_s == pytest.approx(5)
    began = time.now
    time.run(one.work(began + 6, at_once=1), other.work(began + 6, at_once=1))
    assert one.starts[0] >= began + 5
    assert other.starts[-1] >= began + 5


def test_the_longest_pause_of_all_holds(path: Path, time: Time) -> None:
    one, other = Process(path, time), Process(path, time)
    one.limiter.pause(2)
    other.limiter.pause(4)
    one.limiter.pause(1)
    began = time.now
    time.run(one.work(began + 5, at_once=1))
    assert one.starts[0] == pytest.approx(began + 4, abs=0.01)


def rewrite(path: Path, change: Callable[[dict[str, object]], object]) -> None:
    kept = json.loads(path.read_bytes().partition(b"\n")[0])
    change(kept["schedule"])
    path.write_text(json.dumps(kept) + "\n")


def test_a_pause_that_is_taken_back_is_noticed_within_a_second(path: Path, time: Time) -> None:
    one, other = Process(path, time), Process(path, time)
    one.limiter.pause(600)
    began = time.now

    async def take_back() -> None:
        await time.sleep(10.3)
        rewrite(path, lambda schedule: schedule.update(paused_until=0))

    time.run(other.work(began + 12), take_back())
    assert began + 10.3 <= other.starts[0] <= began + 11.3


def test_a_pause_that_nobody_can_mean_is_ignored(path: Path, time: Time) -> None:
    one, other = Process(path, time), Process(path, time)
    began = time.now
    time.run(one.work(began + 0.1))
    rewrite(path, lambda schedule: schedule.update(paused_until=9e9))
    time.run(other.work(time.now + 1))
    assert other.starts


def test_a_pause_that_a_process_may_not_make_is_left_to_the_server(path: Path, time: Time) -> None:
    patient, hasty = Process(path, time, longest_pause=30), Process(path, time, longest_pause=10)
    began = time.now
    patient.limiter.pause(20)
    time.run(hasty.work(began + 1), patient.work(began + 21))
    assert hasty.starts[0] < began + 0.5, "it asks for itself"
    assert patient.starts[0] >= began + 20, "who was told keeps it"


@pytest.mark.parametrize("left", [b"", b"{", b"\0" * 300, b'{"next_start":9e9}', None], ids=str)
def test_a_damaged_file_is_begun_anew(path: Path, time: Time, left: bytes | None) -> None:
    one, other = Process(path, time, 20.0), Process(path, time, requests=1200.0)

    def write() -> None:
        if left is None:
            path.unlink()
        else:
            path.write_bytes(left)

    async def damage() -> None:
        await time.sleep(2)
        write()

    began = time.now
    time.run(one.work(began + 5), other.work(began + 5), damage())
    starts = one.starts + other.starts
    assert len(starts) == pytest.approx(100, abs=25)
    assert most_within([s for s in starts if s > began + 1], 0.5) <= 10 + 20 * LEASE_S + 2
    assert json.loads(path.read_bytes().partition(b"\n")[0])["version"] == 2


def headers(limit: int, remaining: int) -> dict[str, str]:
    return {
        "x-ratelimit-limit-requests": str(limit),
        "x-ratelimit-remaining-requests": str(remaining),
    }


def test_what_one_process_is_told_of_the_limits_all_keep(path: Path, time: Time) -> None:
    told, other = Process(path, time), Process(path, time)
    began = time.now

    async def learn() -> None:
        turn = await told.limiter.acquire()
        told.limiter.learn(turn, headers(600, 1))
        await told.limiter.acquire()

    time.run(learn())
    time.run(other.work(began + 10))
    assert other.limiter.per_minute == {"requests": 594.0}
    assert len(other.starts) <= 10 * 10 + 1


@pytest.mark.parametrize("number", [1, 2, 4], ids=str)
@pytest.mark.parametrize("burst_s", [1.0, 10.0], ids=["small-bucket", "large-bucket"])
def test_a_limit_that_only_headers_tell_is_used_and_kept_by_all(
    path: Path, time: Time, number: int, burst_s: float
) -> None:
    server = Bucket(50, time.now)
    server._capacity = server._level = 50 * burst_s
    processes = [Process(path, time) for _ in range(number)]
    answered: list[bool] = []

    async def ask(one: Process, until: float) -> None:
        while time.now < until:
            turn = await one.limiter.acquire()
            answered.append(server.ready(1) <= time.now)
            if answered[-1]:
                server.take(time.now, 1)
            server._refill(time.now)
            told = headers(3000, int(server._level))
            await time.sleep(0.2)
            one.limiter.learn(turn, told)

    began, seconds = time.now, 30
    time.run(*(ask(one, began + seconds) for one in processes for _ in range(32)))
    assert answered.count(False) <= 0.03 * len(answered) + number * 32
    assert answered.count(True) >= 0.93 * 50 * seconds


def test_the_limits_that_the_latest_configured_hold_for_all(path: Path, time: Time) -> None:
    first = Process(path, time, requests=60.0)
    time.run(first.work(time.now + 1, at_once=1))
    second = Process(path, time, requests=6000.0)
    time.run(second.work(time.now + 1, at_once=1))
    time.run(first.work(time.now + 1, at_once=1))
    assert first.limiter.per_minute == second.limiter.per_minute == {"requests": 6000.0}


def test_without_any_limit_the_file_is_hardly_looked_at(path: Path, time: Time) -> None:
    one = Process(path, time)
    began = time.now
    time.run(one.work(began + 5, at_once=50, takes=0.01))
    assert len(one.starts) > 20_000
    assert one.reads <= 5 / LEASE_S + 2


def test_a_lease_costs_one_look_at_the_file(path: Path, time: Time) -> None:
    processes = [Process(path, time, 300.0) for _ in range(2)]
    began = time.now
    time.run(*(one.work(began + 5, at_once=64) for one in processes))
    assert sum(len(one.starts) for one in processes) > 12 * sum(one.reads for one in processes)


def test_who_does_not_sleep_has_not_waited(path: Path, time: Time) -> None:
    one = Process(path, time, 10.0)

    async def turns() -> list[float]:
        waits = [(await one.limiter.acquire()).waited]
        await time.sleep(1)
        waits.append((await one.limiter.acquire()).waited)
        waits.append((await one.limiter.acquire()).waited)
        assert waits[:2] == [0.0, 0.0]
        assert waits[2] == pytest.approx(0.1)
        return waits

    time.run(turns())


def test_who_is_cancelled_leaves_its_start_to_the_next(path: Path, time: Time) -> None:
    one = Process(path, time, 2.0)
    began = time.now
    done: list[tuple[str, float]] = []

    async def acquire(name: str) -> None:
        await one.limiter.acquire()
        done.append((name, time.now - began))

    async def scene() -> None:
        tasks = {name: asyncio.ensure_future(acquire(name)) for name in "abcd"}
        await time.sleep(0.7)
        tasks["c"].cancel()
        await time.sleep(0.1)
        await asyncio.gather(tasks["d"])

    time.run(scene())
    assert done == [("a", 0), ("b", pytest.approx(0.5)), ("d", pytest.approx(1.0))]


def test_another_one_in_the_place_of_one_cancelled_pays_what_it_takes(
    path: Path, time: Time
) -> None:
    one = Process(path, time, tokens=6000.0)

    async def scene() -> None:
        await one.limiter.acquire(80)
        small = asyncio.ensure_future(one.limiter.acquire(10))
        large = asyncio.ensure_future(one.limiter.acquire(70))
        await time.sleep(0.01)
        small.cancel()
        assert (await large).tokens == 70
        began = time.now
        await one.limiter.acquire(80)
        assert time.now - began == pytest.approx(1.4, abs=0.15)

    time.run(scene())


def test_a_process_that_was_stopped_with_the_lock_writes_nothing_when_it_goes_on(
    path: Path, time: Time
) -> None:
    stopped, other = Process(path, time, 10.0), Process(path, time, 10.0)
    file, read = stopped.limits._file, stopped.limits._file.read

    def stop_after_reading() -> object:
        found = read()
        rewrite(path, lambda schedule: schedule.update(next_start=EPOCH + 1600))
        time.now += 3
        file.read = read  # type: ignore[method-assign]
        return found

    time.run(other.work(time.now + 1, at_once=1))
    file.read = stop_after_reading  # type: ignore[assignment, method-assign]
    stopped.limiter.pause(10)
    kept = json.loads(path.read_bytes().partition(b"\n")[0])
    assert kept["schedule"]["next_start"] == EPOCH + 1600, "what others wrote meanwhile stands"
    assert stopped.limiter.paused_s == pytest.approx(7), "its news are told the next time"
    assert LimitFile(path).try_lock(), "and the lock is free"
