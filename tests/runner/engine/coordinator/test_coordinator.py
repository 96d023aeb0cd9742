from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_so.runner.engine.coordinator.concurrency import Bounds, SharedBounds
from lm_eval_so.runner.engine.coordinator.coordinator import Beat, Coordinator, CoordinatorSetup
from lm_eval_so.runner.engine.coordinator.leases import Held, Sealing
from lm_eval_so.runner.engine.coordinator.outage import Away
from lm_eval_so.runner.engine.coordinator.progress import Counts
from lm_eval_so.runner.engine.coordinator.refusals import Cause, Refusal
from lm_eval_so.runner.engine.coordinator.shards import owed
from lm_eval_so.runner.engine.coordinator.starts import Asked, RateLimits
from lm_eval_so.runner.engine.coordinator.stop import StopOrder, Stopping, Why
from lm_eval_so.runner.store.parts.lease import Lease
from lm_eval_so.runner.strategy.breaker.refusals import Kind
from lm_eval_so.runner.summary.amount import Amount

ONE = Amount(requests=1, tokens=10.0)


def made(**changes: object) -> Coordinator:
    setup = CoordinatorSetup(owed=list(owed(200, 100)))._replace(**changes)
    return Coordinator(setup, 0.0)


@given(
    st.integers(1, 300),
    st.tuples(st.integers(1, 50), st.integers(0, 100), st.integers(0, 300)),
    st.lists(st.integers(0, 400), max_size=30),
)
def test_the_shares_add_up_to_the_whole(
    number: int, steps: tuple[int, int, int], leaving: list[int]
) -> None:
    least, more, most = steps
    whole = Bounds(least + more, least, least + more + most)
    table = SharedBounds(whole)
    names = [f"w{n}" for n in range(number)]
    for name in names:
        table.join(name)
    for name in {f"w{n}" for n in leaving}:
        table.leave(name)
        names = [one for one in names if one != name]
    shares = [share for name in names if (share := table.of(name)).max]
    assert len(shares) == min(len(names), whole.max)
    assert all(1 <= one.min <= one.start <= one.max for one in shares)
    for part, all_of_it in zip(zip(*shares, strict=True), whole, strict=False):
        assert sum(part) == max(all_of_it, len(shares))


class Obeying:
    """A worker that has in flight what it may, and hears of other bounds in its heartbeats."""

    def __init__(self) -> None:
        self.most = self.in_flight = 0

    def beat(self, table: SharedBounds, name: str, *, answered: bool = True) -> None:
        given = table.give(name, max(self.most, self.in_flight))
        if answered:
            self.most = given.max


STEPS = st.one_of(
    st.tuples(st.sampled_from(["comes", "goes", "beats", "beats unheard"]), st.integers(0, 5)),
    st.tuples(st.just("sends"), st.integers(0, 5)),
    st.tuples(st.just("gets answers"), st.integers(0, 5), st.integers(1, 30)),
)


@given(st.integers(1, 30), st.lists(STEPS, max_size=60))
def test_no_more_is_in_flight_than_may_be_whoever_comes_and_goes(
    most: int, steps: list[tuple[str, int] | tuple[str, int, int]]
) -> None:
    table, there = SharedBounds(Bounds(most, most, most)), dict[str, Obeying]()
    for what, number, *more in steps:
        name = f"w{number}"
        if what == "comes":
            table.join(name)
            there.setdefault(name, Obeying())
        if name not in there:
            continue
        worker = there[name]
        match what:
            case "goes":
                table.leave(name)
                del there[name]
            case "beats" | "beats unheard":
                worker.beat(table, name, answered=what == "beats")
            case "sends":
                worker.in_flight = max(worker.most, worker.in_flight)
            case "gets answers":
                worker.in_flight = max(0, worker.in_flight - more[0])
        assert sum(max(one.most, one.in_flight) for one in there.values()) <= most
    for _ in range(3):  # to give up, to tell that, and to get the whole share
        for name, worker in there.items():
            worker.in_flight = min(worker.in_flight, worker.most)
            worker.beat(table, name)
    assert {name: worker.most for name, worker in there.items()} == {
        name: table.of(name).max for name in there
    }


def test_a_worker_that_was_given_up_and_comes_back_takes_no_share_of_the_others() -> None:
    table = SharedBounds(Bounds(20, 20, 20))
    for name in "ab":
        table.join(name)
    assert [table.give(name, 0).max for name in "ab"] == [10, 10]
    table.leave("a")
    assert table.give("b", 10).max == 20
    table.join("a")
    assert [table.give("a", 10).max, table.give("b", 20).max] == [10, 10]


def test_workers_beyond_what_may_be_in_flight_rest_until_one_goes() -> None:
    table = made(bounds=Bounds(1, 1, 1))
    assert table.lease("a", 0.0).lease
    assert table.lease("b", 0.0).lease is None
    table.gone("a")
    assert table.lease("b", 0.0).lease == Lease(0, 100, 2)


def test_the_first_reason_to_stop_holds_and_can_only_become_more_urgent() -> None:
    stopping = Stopping()
    stopping.request(Why.BUDGET, "first")
    stopping.request(Why.ASKED, "second", at_once=True)
    assert stopping.request(Why.FAULT, "third") == StopOrder(Why.BUDGET, "first", at_once=True)


def test_a_stop_is_in_every_answer_to_a_heartbeat_and_nothing_is_handed_out() -> None:
    table = made()
    assert table.beat("a", Beat(1), 0.0).stop is None
    order = table.stop(Why.ASKED, "Ctrl-C")
    assert table.beat("a", Beat(2), 1.0).stop == order
    assert table.lease("a", 1.0).lease is None


def test_progress_is_the_sum_of_all_and_beats_that_come_late_or_twice_do_not_count() -> None:
    table = made()
    new = Beat(2, counts=Counts(5, 3, 6, 4, {"timeout": 2}), spent=ONE)
    for beat in (new, new, Beat(1, counts=Counts(1, 1, 1, 1))):
        table.beat("a", beat, 0.0)
    table.beat("b", Beat(1, counts=Counts(1, 0, 1, 1, {"timeout": 1})), 0.0)
    assert table.progress() == Counts(6, 3, 7, 5, {"timeout": 3})
    assert table.spent() == ONE
    table.gone("a")
    assert table.progress() == Counts(6, 3, 7, 1, {"timeout": 3})


def test_a_silent_worker_is_gone_for_all_parts_after_30_s() -> None:
    table = made(budget={"requests": 1})
    lease = table.lease("a", 0.0).lease
    assert table.reserve("a", ONE, 1, 0.0).requests == 1
    assert table.reserve("b", ONE, 1, 30.0).requests == 0
    assert table.reserve("b", ONE, 1, 30.5).requests == 1
    assert table.lease("b", 30.5).lease == Lease(0, 100, 2)
    assert lease is not None
    assert table.done("a", lease, 31.0) is Sealing.NOT_YOURS


def test_a_spent_budget_ends_the_run_with_its_sentence() -> None:
    table = made(budget={"requests": 1}, earlier=Amount(requests=1))
    table.reserve("a", ONE, 1, 0.0)
    assert table.stopped is not None
    assert table.stopped.why is Why.BUDGET
    assert "1 of 1 requests" in table.stopped.reason


def test_a_server_that_stays_away_ends_the_run() -> None:
    table = made(wait=10.0)
    table.lease("a", 0.0)
    assert table.away("a", "connection refused", 0.0).away is Away.PROBE
    assert table.beat("a", Beat(1), 9.0).stop is None
    assert table.beat("a", Beat(2), 10.0).stop == StopOrder(Why.UNUSABLE, "connection refused")


def test_a_server_that_comes_back_ends_nothing() -> None:
    table = made(wait=10.0)
    table.lease("a", 0.0)
    table.away("a", "connection refused", 0.0)
    reply = table.beat("a", Beat(1, alive=1, left_s=0.1), 9.0)
    assert reply.order.away is Away.GO
    assert table.beat("a", Beat(2, alive=1), 20.0).stop is None


def test_a_refused_setting_ends_the_run() -> None:
    table = made()
    table.lease("a", 0.0)
    kind = Kind(of_the_setting=True, error_type="AuthenticationError", status_code=401)
    refusal = Refusal("s", kind, "a wrong key: set OPENAI_API_KEY")
    assert table.refused("a", [refusal], 0.0, stuck=True) is Cause.SETTING
    assert table.stopped == StopOrder(Why.UNUSABLE, "a wrong key: set OPENAI_API_KEY")


def test_a_whole_run_is_finished_when_all_is_sealed() -> None:
    table = made()
    while (lease := table.lease("a", 0.0).lease) is not None:
        assert not table.finished
        assert table.done("a", lease, 0.0) is Sealing.ACCEPTED
    assert table.finished
    assert table.lease("b", 0.0).finished


def test_what_crosses_the_wire_can_be_pickled() -> None:
    table = made(limits=RateLimits(per_second=10), budget={"tokens": 100})
    messages = [
        table.lease("a", 0.0),
        table.beat("a", Beat(1, (Held(1, 5),)), 0.0),
        table.starts("a", Asked([1.0] * 3), 0.0),
        table.reserve("a", ONE, 1, 0.0),
        table.stop(Why.ASKED, "x"),
    ]
    assert pickle.loads(pickle.dumps(messages)) == messages  # noqa: S301 - our own


@pytest.mark.parametrize("name", ["ended", "release", "done"])
def test_a_worker_that_nobody_knows_is_answered(name: str) -> None:
    table = made()
    answers = {
        "ended": table.ended("x", 7, 3, 0.0),
        "release": table.release("x", 7, 0.0),
        "done": table.done("x", Lease(0, 5, 7), 0.0),
    }
    assert answers[name] in {None, False, Sealing.NOT_YOURS}
    table.gone("nobody")
