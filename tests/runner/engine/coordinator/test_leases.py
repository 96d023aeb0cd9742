from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lm_eval_so.runner.engine.coordinator.leases import (
    EPOCHS_LEFT_OUT,
    EndAt,
    Held,
    Leases,
    Sealing,
)
from lm_eval_so.runner.engine.coordinator.shards import owed
from lm_eval_so.runner.store.parts.lease import Lease, Range

if TYPE_CHECKING:
    from lm_eval_so.runner.engine.coordinator.leases import Renewal


def leases(samples: int = 300, size: int = 100) -> Leases:
    return Leases(owed(samples, size), lease_s=30)


def take(table: Leases, worker: str, now: float = 0.0) -> Lease:
    lease = table.next(worker, now).lease
    assert lease is not None
    return lease


def renew(table: Leases, worker: str, lease: Lease, begun: int, now: float) -> Renewal:
    return table.renew(worker, [Held(lease.epoch, begun)], now)


def test_ranges_are_handed_out_in_order_with_growing_epochs() -> None:
    table = leases()
    assert [take(table, w) for w in "aba"] == [
        Lease(0, 100, 1),
        Lease(100, 100, 2),
        Lease(200, 100, 3),
    ]


def test_a_lease_lives_for_30_s_beyond_the_last_heartbeat_that_named_it() -> None:
    table = leases(samples=100)
    lease = take(table, "a")
    assert renew(table, "a", lease, 10, now=20).lost == ()
    assert table.next("b", 50).lease is None
    assert table.next("b", 50.1).lease == Lease(0, 100, 2)
    assert renew(table, "a", lease, 20, now=51).lost == (1,)


def test_a_lease_whose_grant_was_lost_comes_back_though_its_worker_lives() -> None:
    table = leases(samples=200)
    take(table, "a")
    known = take(table, "a")
    for now in range(0, 40, 5):
        renew(table, "a", known, 100, now)
    assert table.next("b", 40).lease == Lease(0, 100, 3)


def test_what_a_worker_held_is_free_at_once_when_it_is_gone_and_goes_first() -> None:
    table = leases()
    take(table, "a")
    table.gone("a")
    assert take(table, "b") == Lease(0, 100, 2)
    assert take(table, "b") == Lease(100, 100, 3)


def test_done_is_accepted_once_and_only_of_the_present_epoch() -> None:
    table = leases(samples=100)
    old = take(table, "a")
    table.gone("a")
    new = take(table, "b")
    assert table.done("a", old) is Sealing.NOT_YOURS
    assert table.done("a", new) is Sealing.NOT_YOURS
    assert table.done("b", new) is Sealing.ACCEPTED
    assert table.done("b", new) is Sealing.BEFORE
    assert table.finished
    assert table.next("a", 0).finished


def test_a_released_lease_is_handed_on_and_its_end_by_the_first_holder_does_not_count() -> None:
    table = leases(samples=100)
    lease = take(table, "a")
    assert table.release("a", lease.epoch)
    assert not table.release("a", lease.epoch)
    assert table.done("a", lease) is Sealing.NOT_YOURS
    assert take(table, "b").first == 0


def test_the_holder_with_the_most_left_is_asked_to_share_with_an_idle_worker() -> None:
    table = leases(samples=200)
    full, near = take(table, "a"), take(table, "b")
    renew(table, "a", full, 20, now=10)
    renew(table, "b", near, 190, now=10)
    assert table.next("c", 10).lease is None
    assert renew(table, "b", near, 190, now=11).end_at == ()
    assert renew(table, "a", full, 22, now=11).end_at == (EndAt(1, 60),)
    assert table.ended("a", 1, 61) == Lease(0, 61, 1)
    assert table.next("c", 11).lease == Lease(61, 39, 3)
    assert table.done("a", full) is Sealing.NOT_YOURS, "its end is somebody else's"
    assert table.done("a", Lease(0, 61, 1)) is Sealing.ACCEPTED


def test_a_slow_holder_gives_more_than_half_away() -> None:
    table = leases(samples=200)
    quick, slow = take(table, "quick"), take(table, "slow")
    renew(table, "slow", slow, 110, now=30)
    renew(table, "quick", quick, 100, now=30)
    table.done("quick", quick)
    assert table.next("quick", 30).lease is None
    (asked,) = renew(table, "slow", slow, 110, now=31).end_at
    assert asked.position == pytest.approx(110 + 90 / 11, abs=1)


def test_a_prefetched_lease_can_be_given_away_whole() -> None:
    table = leases(samples=200)
    first, second = take(table, "a"), take(table, "a")
    table.renew("a", [Held(first.epoch, 50), Held(second.epoch, 100)], 10)
    table.next("b", 10)
    reply = table.renew("a", [Held(first.epoch, 50), Held(second.epoch, 100)], 10)
    assert reply.end_at == (EndAt(second.epoch, 125),)
    assert table.ended("a", second.epoch, 100) == Lease(100, 0, second.epoch)
    assert table.next("b", 10).lease == Lease(100, 100, 3)
    assert table.renew("a", [Held(second.epoch, 100)], 10).lost == (second.epoch,)


def test_a_refused_split_leaves_all_as_it_is() -> None:
    table = leases(samples=100)
    lease = take(table, "a")
    renew(table, "a", lease, 10, now=1)
    table.next("b", 1)
    assert renew(table, "a", lease, 100, now=2).end_at == (EndAt(1, 100),)
    assert table.ended("a", 1, 100) == lease
    assert table.next("b", 2).lease is None
    assert table.done("a", lease) is Sealing.ACCEPTED


def test_one_holder_is_asked_for_each_idle_worker() -> None:
    table = leases(samples=400)
    held = {w: take(table, w) for w in "abcd"}
    for w, lease in held.items():
        renew(table, w, lease, lease.first + 10, now=10)
    for now in (10.0, 10.3, 10.6):
        table.next("x", now)
        table.next("y", now)
    asked = [w for w, lease in held.items() if renew(table, w, lease, 0, now=11).end_at]
    assert len(asked) == 2


def test_nobody_is_asked_for_work_that_is_done_before_a_split_has_gone_round() -> None:
    table = leases(samples=100)
    lease = take(table, "a")
    renew(table, "a", lease, 90, now=9)
    table.next("b", 9)
    assert renew(table, "a", lease, 90, now=9).end_at == ()


def test_a_holder_that_does_not_answer_keeps_nobody_from_asking_another() -> None:
    table = leases(samples=200)
    deaf, other = take(table, "deaf"), take(table, "other")
    renew(table, "deaf", deaf, 10, now=10)
    renew(table, "other", other, 150, now=10)
    table.next("idle", 10)
    assert renew(table, "deaf", deaf, 10, now=20).end_at
    renew(table, "other", other, 155, now=20)
    table.next("idle", 21)
    table.next("idle", 22)
    asked = (
        renew(table, "deaf", deaf, 10, 22).end_at,
        renew(table, "other", other, 155, 22).end_at,
    )
    assert any(asked)


def test_a_new_coordinator_begins_above_every_epoch_that_may_have_been_out() -> None:
    table = Leases([Range(0, 10)], highest=7)
    assert take(table, "a").epoch > 7 + EPOCHS_LEFT_OUT - 1


@pytest.mark.parametrize("lease", [Lease(0, 100, 99), Lease(5, 95, 1), Lease(0, 0, 1)], ids=str)
def test_a_lease_that_was_never_granted_is_nobodys(lease: Lease) -> None:
    table = leases(samples=100)
    take(table, "a")
    assert table.done("a", lease) is Sealing.NOT_YOURS


def test_calls_about_what_is_not_known_are_answered() -> None:
    table = leases(samples=100)
    assert table.renew("x", [Held(5, 0)], 0).lost == (5,)
    assert table.ended("x", 5, 3) is None
    assert not table.release("x", 5)
    table.gone("x")
    lease = take(table, "a")
    for position in (-5, 100, 10**12):
        assert table.ended("a", lease.epoch, position) == lease
