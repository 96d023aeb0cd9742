from __future__ import annotations

import pytest

from lm_eval_so.runner.strategy.rate_limit.bucket import Bucket
from lm_eval_so.runner.strategy.rate_limit.lease import HORIZON, Asking, Holder, Lease, take_lease
from lm_eval_so.runner.strategy.rate_limit.schedule import Schedule

ONE = {"requests": 1.0, "tokens": 0.0}


class Table:
    """A schedule and those who share it, at a time that the test sets."""

    def __init__(self, rate: float | None) -> None:
        self.schedule = Schedule()
        self.holders: dict[str, Holder] = {}
        self.interval = 1 / rate if rate else 0.0
        self.now = 100.0

    def ask(self, name: str, wanted: int = 1000, tokens: float = 0.0) -> Lease:
        asking = Asking(name, [{"requests": 1.0, "tokens": tokens}] * wanted, self.interval)
        lease, self.holders = take_lease(self.schedule, self.holders, asking, self.now)
        return lease


def test_one_alone_takes_all_that_starts_within_the_horizon() -> None:
    lease = Table(rate=100).ask("a")
    assert [slot.start for slot in lease.slots] == pytest.approx([100 + n / 100 for n in range(25)])


def test_nobody_takes_more_than_it_can_use() -> None:
    assert len(Table(rate=100).ask("a", wanted=3).slots) == 3


@pytest.mark.parametrize("number", [2, 3, 5], ids=str)
def test_those_who_share_take_turns_with_equal_shares(number: int) -> None:
    table = Table(rate=200)
    taken = dict.fromkeys("abcde"[:number], 0)
    until = dict.fromkeys(taken, 0.0)
    for _ in range(2000):
        table.now += 0.005
        for name in taken:
            if table.now > until[name]:
                lease = table.ask(name)
                taken[name] += len(lease.slots)
                until[name] = lease.slots[-1].start if lease.slots else lease.look_at
    assert sum(taken.values()) == pytest.approx(2000, rel=0.05), "all starts of 10 s are used"
    assert min(taken.values()) > 0.8 * max(taken.values())


@pytest.mark.parametrize("rate", [0.1, 1, 3], ids=str)
def test_nobody_takes_a_start_beyond_the_horizon(rate: float) -> None:
    table = Table(rate)
    assert table.ask("a").slots
    refused = table.ask("b")
    assert not refused.slots
    assert table.now < refused.look_at <= table.now + HORIZON, "it looks again soon"
    table.now += 1 / rate - HORIZON
    assert table.ask("b").slots[0].start == pytest.approx(100 + 1 / rate)


def test_who_has_waited_longest_is_first() -> None:
    table = Table(rate=1)
    table.ask("a")
    order = ["c", "b", "d", "a"]
    for name in order:
        table.now += 0.01
        table.ask(name)
    served: list[str] = []
    while len(served) < 8:
        table.now += 0.1
        served += [name for name in "abcd" if table.ask(name).slots]
    assert served == order * 2


def test_who_does_not_come_back_is_passed_over_before_its_start() -> None:
    table = Table(rate=2)
    table.ask("a")
    table.ask("killed")
    table.now += 0.01
    began = table.now
    while not (lease := table.ask("b")).slots:
        table.now = max(table.now + 0.001, lease.look_at)
    assert lease.slots[0].start <= began + 2 * HORIZON + 0.1


def test_a_small_request_does_not_go_before_a_large_one_for_ever() -> None:
    table = Table(rate=None)
    table.schedule.buckets["tokens"] = Bucket(100, table.now)
    table.ask("small", wanted=1, tokens=80)
    granted: list[str] = []
    for _ in range(400):
        table.now += 0.01
        for name, tokens in (("small", 5), ("large", 80)):
            if table.ask(name, wanted=1, tokens=tokens).slots:
                granted.append(name)
    assert granted.count("large") > 2


def test_a_dead_holder_leaves_its_share_to_the_others() -> None:
    table = Table(rate=200)
    table.ask("dead")
    shared = len(table.ask("a").slots)
    table.now += 2
    assert len(table.ask("a").slots) > 1.8 * shared


def test_without_a_limit_a_lease_is_for_a_time() -> None:
    lease = Table(rate=None).ask("a")
    assert not lease.slots
    assert lease.free_until == 100 + HORIZON


def test_a_lease_for_a_time_is_not_given_within_a_pause() -> None:
    table = Table(rate=None)
    table.schedule.paused_until = table.now + 60
    lease = table.ask("a")
    assert not lease.free_until
    assert not lease.slots


@pytest.mark.parametrize("ahead", [10.0, 3000.0], ids=str)
def test_one_that_seems_to_wait_for_ages_is_not_waited_for(ahead: float) -> None:
    table = Table(rate=100)
    table.holders = {"damage": Holder(until=table.now + ahead, since=0.0)}
    lease = table.ask("a")
    assert lease.slots[0].start == table.now
    assert len(lease.slots) == 25, "nor does it have a share"
