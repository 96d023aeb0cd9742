"""Several workers over one coordinator: what holds them, and what ends the run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.runner.engine.coordinator.concurrency import Bounds
from lm_eval_so.runner.engine.coordinator.stop import Why
from lm_eval_so.runner.errors import (
    AuthenticationError,
    BackendError,
    EndpointUnreachableError,
    StoreError,
)
from support.cluster import LATENCY, Cluster, Member, ids
from support.virtual_time import now

if TYPE_CHECKING:
    from collections.abc import Callable

    from lm_eval_so.runner.models import RunRequest
    from lm_eval_so.runner.store.parts.layout import Marker


def test_a_stop_reaches_all(play: Callable[..., Cluster]) -> None:
    async def script(cluster: Cluster) -> None:
        for name in "abc":
            cluster.join(name)
        await asyncio.sleep(5.0)
        cluster.coordinator.stop(Why.ASKED, "Ctrl-C")
        await cluster.ends(within=5.0)

    cluster = play(script, 10_000, 100, bounds=Bounds(12, 12, 12))
    assert {str(one.stop.reason) for one in cluster.members} == {"Ctrl-C"}
    assert cluster.sent[-1][0] < 5.0 + 2.1
    assert cluster.coordinator.progress().in_flight == 0
    assert len(cluster.sharded.told) == len(cluster.sent)  # what was in flight was waited for


def test_the_reason_of_one_worker_ends_the_run_for_all(play: Callable[..., Cluster]) -> None:
    async def script(cluster: Cluster) -> None:
        one, other = cluster.join("a"), cluster.join("b")
        await asyncio.sleep(1.0)
        one.stop.request(RuntimeError("a bug"))
        await cluster.ends(within=10.0)
        assert str(other.stop.reason) == "a bug"

    cluster = play(script, 10_000, 100, bounds=Bounds(12, 12, 12))
    assert cluster.coordinator.stopped is not None
    assert cluster.coordinator.stopped.why is Why.FAULT


def test_an_outage_is_probed_by_one_and_over_for_all_at_once(play: Callable[..., Cluster]) -> None:
    begins, ends = 5.0, 25.0

    async def script(cluster: Cluster) -> None:
        def away(*_: object) -> BackendError | None:
            refused = EndpointUnreachableError("no server takes connections")
            return refused if begins <= now() < ends else None

        cluster.fault = away
        for name in "abc":
            cluster.join(name)
        await cluster.ends()

    cluster = play(script, 1500, 100, bounds=Bounds(12, 12, 12))
    assert cluster.sharded.results() == ids(1500)
    probes = [at for at, _ in cluster.sent if begins + 5.0 <= at < ends]
    assert 3 <= len(probes) <= (ends - begins) / 1.5
    back = [min(at for at, _ in one.sent if at >= ends) for one in cluster.members]
    assert max(back) < ends + 5.0
    assert all(member.stop.reason is None for member in cluster.members)


def test_a_server_that_stays_away_ends_the_run_with_one_sentence(
    play: Callable[..., Cluster],
) -> None:
    async def script(cluster: Cluster) -> None:
        cluster.fault = lambda *_: EndpointUnreachableError("no server takes connections")
        for name in "ab":
            cluster.join(name)
        await cluster.ends(within=60.0)

    cluster = play(script, 500, 100, bounds=Bounds(8, 8, 8), wait=20.0)
    assert cluster.coordinator.stopped == (Why.UNUSABLE, "no server takes connections", False)
    assert not cluster.sharded.told


def test_one_worker_without_a_way_to_the_server_leaves_and_the_others_go_on(
    play: Callable[..., Cluster],
) -> None:
    async def script(cluster: Cluster) -> None:
        lame = cluster.join("a")
        cluster.join("b")
        cluster.fault = lambda member, _: (
            EndpointUnreachableError("no route") if member is lame and now() > 4 else None
        )
        await cluster.ends()
        assert str(lame.stop.reason) == "this worker leaves the run"

    cluster = play(script, 1500, 50, bounds=Bounds(10, 10, 10), wait=20.0)
    assert cluster.sharded.results() == ids(1500)
    assert cluster.coordinator.stopped is None


def test_who_is_not_answered_meanwhile_holds_with_the_others(play: Callable[..., Cluster]) -> None:
    async def script(cluster: Cluster) -> None:
        cluster.latency = lambda _: 10.0
        for name in "ab":
            cluster.join(name)
        await asyncio.sleep(5.0)
        for name in "xyz":  # workers of which nothing else is seen here
            cluster.coordinator.away(name, "no server takes connections", now())
        await cluster.ends()

    cluster = play(script, 100, 20, bounds=Bounds(8, 8, 8))
    assert cluster.sharded.results() == ids(100)
    sent = [at for at, _ in cluster.sent]
    assert len([at for at in sent if at < 1.0]) >= 8
    # One of those that are not here is asked to probe first, and given ten seconds.
    assert 1 <= len([at for at in sent if 5.0 <= at < 20.0]) <= 2


def test_an_answer_of_one_lets_go_another_whose_probe_hangs(play: Callable[..., Cluster]) -> None:
    hung: list[Member] = []

    async def script(cluster: Cluster) -> None:
        def away(member: Member, _: RunRequest) -> BackendError | None:
            if 8.0 <= now() < 25.0 and hung in ([], [member]):
                hung[:] = [member]  # this probe and the next ones of this worker get nothing
                return None
            refused = EndpointUnreachableError("no server takes connections")
            return refused if 5.0 <= now() < 25.0 else None

        cluster.fault = away
        cluster.latency = lambda one: 50.0 if [one] == hung and now() < 25.0 else LATENCY
        for name in "abc":
            cluster.join(name)
        await cluster.ends()

    cluster = play(script, 4000, 50, bounds=Bounds(12, 12, 12))
    assert cluster.sharded.results() == ids(4000)
    (member,) = hung
    assert min(at for at, _ in member.sent if at >= 25.0) < 32.0


@pytest.mark.parametrize("samples", [5, 500])
def test_a_wrong_key_ends_the_run_before_much_was_sent(
    play: Callable[..., Cluster], samples: int
) -> None:
    async def script(cluster: Cluster) -> None:
        cluster.samples = 500  # of which all but a few may have been answered before
        cluster.fault = lambda *_: AuthenticationError("no such key", status_code=401)
        for name in "abc":
            cluster.join(name)
        await cluster.ends(within=30.0)

    cluster = play(script, samples, 50, bounds=Bounds(12, 12, 12))
    assert cluster.coordinator.stopped is not None
    assert cluster.coordinator.stopped[:2] == (Why.UNUSABLE, "no such key")
    assert len(cluster.sent) <= 70
    assert not cluster.sharded.told


def test_refusals_beside_an_answer_of_another_worker_are_results(
    play: Callable[..., Cluster],
) -> None:
    async def script(cluster: Cluster) -> None:
        refused = cluster.join("a")
        cluster.join("b")
        cluster.fault = lambda member, _: (
            AuthenticationError("flagged", status_code=401) if member is refused else None
        )
        await cluster.ends()

    cluster = play(script, 200, 20, bounds=Bounds(8, 8, 8))
    counts = cluster.coordinator.progress()
    assert (counts.delivered, counts.ok + counts.failed["AuthenticationError"]) == (200, 200)
    assert counts.ok > 10


@pytest.mark.parametrize(
    "budget",
    [pytest.param({"requests": 300}, id="exact"), pytest.param({"tokens": 30_000}, id="estimated")],
)
def test_a_budget_holds_over_all_workers_and_is_used(
    play: Callable[..., Cluster], budget: dict[str, float]
) -> None:
    async def script(cluster: Cluster) -> None:
        for name in "abc":
            cluster.join(name)
        await cluster.ends()

    cluster = play(
        script, 2000, 100, bounds=Bounds(12, 12, 12), budget=budget, options={"budget": budget}
    )
    assert cluster.coordinator.stopped is not None
    assert cluster.coordinator.stopped.why is Why.BUDGET
    assert 295 <= len(cluster.sent) <= 300
    assert len(cluster.sharded.told) == len(cluster.sent)


def test_a_part_that_cannot_be_sealed_ends_the_run(play: Callable[..., Cluster]) -> None:
    async def script(cluster: Cluster) -> None:
        def full(_: Marker) -> None:
            raise StoreError("no space left on device")

        cluster.sharded.seal = full  # type: ignore[method-assign]
        cluster.join("a")
        cluster.join("b")
        await cluster.ends(within=30.0)

    cluster = play(script, 2000, 50, bounds=Bounds(16, 16, 16))
    assert cluster.coordinator.stopped is not None
    assert cluster.coordinator.stopped[:2] == (Why.FAULT, "no space left on device")
