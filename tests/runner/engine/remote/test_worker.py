"""Several workers over one coordinator: who does what."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.runner.engine.coordinator.concurrency import Bounds
from lm_eval_so.runner.engine.coordinator.starts import RateLimits
from lm_eval_so.runner.engine.remote.port import AGAIN_S
from support.cluster import LATENCY, Cluster, ids
from support.virtual_time import now

if TYPE_CHECKING:
    from collections.abc import Callable


def test_all_is_answered_once_and_sealed_in_order(play: Callable[..., Cluster]) -> None:
    async def script(cluster: Cluster) -> None:
        for name in "abc":
            cluster.join(name)
        await cluster.ends()

    cluster = play(script, 1000, 100, bounds=Bounds(30, 30, 30))
    assert cluster.sharded.results() == ids(1000)
    assert set(Counter(sample for _, sample in cluster.sent).values()) == {1}
    assert all(len(one.sent) > 250 for one in cluster.members)
    assert cluster.coordinator.progress()[:3] == (1000, 1000, 1000)
    assert cluster.most_at_once == 30
    assert cluster.sent[-1][0] < 1.5 * 1000 / 30 * LATENCY


def test_the_last_shard_is_split_so_that_no_worker_is_idle(play: Callable[..., Cluster]) -> None:
    async def script(cluster: Cluster) -> None:
        cluster.join("a")
        cluster.join("b")
        await cluster.ends()

    cluster = play(script, 600, 600, bounds=Bounds(8, 8, 8))
    assert cluster.sharded.results() == ids(600)
    assert set(Counter(sample for _, sample in cluster.sent).values()) == {1}
    assert all(len(one.sent) > 100 for one in cluster.members)


def test_a_rate_limit_holds_over_all_workers(play: Callable[..., Cluster]) -> None:
    async def script(cluster: Cluster) -> None:
        for name in "ab":
            cluster.join(name)
        await cluster.ends()

    cluster = play(
        script,
        1500,
        50,
        limits=RateLimits(per_second=100),
        bounds=Bounds(64, 64, 64),
        options={"rate_limit": 100},
    )
    times = [at for at, _ in cluster.sent]
    assert len(times) == 1500
    assert times[-1] <= 15 * 1.06
    assert max(sum(at <= one < at + 1 - 1e-6 for one in times) for at in times) <= 102


@pytest.mark.parametrize("how", ["dies", "falls-silent"])
def test_a_worker_that_is_gone_is_replaced(play: Callable[..., Cluster], how: str) -> None:
    async def script(cluster: Cluster) -> None:
        lost, _ = cluster.join("a"), cluster.join("b")
        await asyncio.sleep(3.0)
        assert lost.task is not None
        if how == "dies":
            lost.task.cancel()
        else:
            lost.port.cut = True
        left = [one for one in cluster.members if one is not lost]
        await cluster.ends(*left)
        if how != "dies":
            await lost.task  # it has no reply for as long as its leases live, and leaves
            assert str(lost.stop.reason) == "this worker leaves the run"

    cluster = play(script, 2000, 100, bounds=Bounds(20, 20, 20))
    assert cluster.coordinator.finished
    assert cluster.sharded.results() == ids(2000)
    twice = sum(count - 1 for count in Counter(one for _, one in cluster.sent).values())
    assert twice <= (60 if how == "dies" else 3000)


def test_a_worker_with_no_share_of_what_may_be_in_flight_rests(
    play: Callable[..., Cluster],
) -> None:
    async def script(cluster: Cluster) -> None:
        first = cluster.join("a")
        await asyncio.sleep(1.0)
        second = cluster.join("b")
        await asyncio.sleep(5.0)
        assert not second.sent
        assert first.task is not None
        first.task.cancel()
        cluster.coordinator.gone("a")
        await cluster.ends(second)

    cluster = play(script, 60, 20, bounds=Bounds(1, 1, 1))
    assert cluster.sharded.results() == ids(60)
    assert cluster.most_at_once == 1


def test_a_worker_that_comes_later_waits_for_the_answers_that_the_others_wait_for(
    play: Callable[..., Cluster],
) -> None:
    async def script(cluster: Cluster) -> None:
        cluster.latency = lambda _: 25.0 if now() < 20 else LATENCY
        cluster.join("a")
        await asyncio.sleep(10.0)
        late = cluster.join("b")
        await asyncio.sleep(14.0)
        assert not late.sent
        await cluster.ends()
        assert len(late.sent) > 300

    cluster = play(script, 1000, 100, bounds=Bounds(20, 20, 20))
    assert cluster.sharded.results() == ids(1000)
    assert cluster.most_at_once == 20


def test_a_worker_that_was_given_up_too_early_drops_its_leases_and_goes_on(
    play: Callable[..., Cluster],
) -> None:
    async def script(cluster: Cluster) -> None:
        given_up, _ = cluster.join("a"), cluster.join("b")
        await asyncio.sleep(5.0)
        before = len(given_up.sent)
        cluster.coordinator.gone("a")
        cluster.join("c")  # which gets what the first one had
        await cluster.ends()
        assert len(given_up.sent) > before + 200

    cluster = play(script, 5000, 1000, bounds=Bounds(20, 20, 20))
    assert cluster.sharded.results() == ids(5000)
    twice = sum(count - 1 for count in Counter(one for _, one in cluster.sent).values())
    assert 0 < twice < 150


@pytest.mark.parametrize("how", ["cut", "deaf"])
def test_calls_without_an_answer_cost_time_and_nothing_else(
    play: Callable[..., Cluster], how: str
) -> None:
    async def script(cluster: Cluster) -> None:
        cluster.join("a")
        cluster.join("b")
        for _ in range(4):
            await asyncio.sleep(3.0)
            for one in cluster.members:
                setattr(one.port, how, True)
            await asyncio.sleep(3.0)
            for one in cluster.members:
                setattr(one.port, how, False)
        await cluster.ends()

    cluster = play(script, 2000, 50, bounds=Bounds(16, 16, 16))
    assert cluster.sharded.results() == ids(2000)
    assert set(Counter(sample for _, sample in cluster.sent).values()) == {1}
    assert cluster.coordinator.progress()[:2] == (2000, 2000)


def test_a_worker_beats_again_as_soon_as_it_is_answered(play: Callable[..., Cluster]) -> None:
    """Its leases may be about to run out."""
    beats: list[int] = []

    async def script(cluster: Cluster) -> None:
        port = cluster.join("a").port
        for cut_for in (1.9, 2.3, 2.7, 3.1, 3.5):
            await asyncio.sleep(3.0)
            port.cut = True
            await asyncio.sleep(cut_for)
            port.cut = False
            before = port.calls["beat"]
            await asyncio.sleep(AGAIN_S + 0.1)
            beats.append(port.calls["beat"] - before)
        await cluster.ends()

    cluster = play(script, 2000, 50, bounds=Bounds(8, 8, 8))
    assert cluster.sharded.results() == ids(2000)
    assert beats == [1] * 5


def test_a_worker_that_leaves_hands_its_leases_back_at_once(play: Callable[..., Cluster]) -> None:
    async def script(cluster: Cluster) -> None:
        leaves, _ = cluster.join("a"), cluster.join("b")
        await asyncio.sleep(5.0)
        leaves.worker.leave()
        await cluster.ends(leaves, within=2.0)
        left_at = now()
        await cluster.ends()
        first = max(at for at, _ in leaves.sent)
        assert left_at - first < 2.0

    cluster = play(script, 600, 300, bounds=Bounds(20, 20, 20))
    assert cluster.sharded.results() == ids(600)
    assert set(Counter(sample for _, sample in cluster.sent).values()) == {1}
    assert cluster.sent[-1][0] < 5.0 + 10.0  # and not when the lease of the other runs out
