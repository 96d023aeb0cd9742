"""Several workers in one event loop, in virtual time, over one coordinator; parts are on disk."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from lm_eval_so.runner.config.schema import RunnerOptions
from lm_eval_so.runner.engine.base import EngineSetup, Stop
from lm_eval_so.runner.engine.coordinator.concurrency import Bounds
from lm_eval_so.runner.engine.coordinator.coordinator import Coordinator, CoordinatorSetup
from lm_eval_so.runner.engine.coordinator.shards import owed
from lm_eval_so.runner.engine.coordinator.starts import RateLimits
from lm_eval_so.runner.engine.coordinator.stop import Why
from lm_eval_so.runner.engine.remote.worker import RemoteWorker
from lm_eval_so.runner.errors import (
    AuthenticationError,
    BackendError,
    EndpointUnreachableError,
    StoreError,
)
from lm_eval_so.runner.models import ChatResponse, RunRequest, TokenUsage
from support import virtual_time
from support.backends import Sends
from support.local_port import LocalPort
from support.sharded import Sharded
from support.virtual_time import now

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from lm_eval_so.runner.store.parts.layout import Marker

LATENCY = 0.2
ANSWER = ChatResponse(text="fine", status_code=200, tokens=TokenUsage(input=50, output=50))


@dataclass(eq=False)
class Member:
    """A worker, and what stands around it."""

    name: str
    port: LocalPort
    worker: RemoteWorker
    stop: Stop
    task: asyncio.Task[None] | None = None
    sent: list[tuple[float, str]] = field(default_factory=list)


class Cluster:
    """A run over a dataset in shards.

    Attributes:
        fault: Fails a request, at its end.
        sent: When each request left, and of which sample.
    """

    def __init__(
        self,
        sharded: Sharded,
        size: int,
        *,
        options: dict[str, Any] | None = None,
        **setup: Any,  # noqa: ANN401
    ) -> None:
        self.sharded = sharded
        self.options = RunnerOptions.model_validate(options or {})
        ranges = owed(sharded.samples, size)
        self.coordinator = Coordinator(CoordinatorSetup(ranges, **setup), now())
        self.members: list[Member] = []
        self.fault: Callable[[Member, RunRequest], BackendError | None] = lambda *_: None
        self.latency: Callable[[Member], float] = lambda _: LATENCY
        self.samples = sharded.samples
        self.most_at_once = self.at_once = 0

    def join(self, name: str) -> Member:
        port, stop = LocalPort(self.coordinator, name, now), Stop()

        async def send(request: RunRequest) -> ChatResponse:
            member.sent.append((now(), request.sample_id))
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            try:
                error = self.fault(member, request)
                await asyncio.sleep(0.001 if error else self.latency(member))
                if error is not None:
                    raise error
            finally:
                self.at_once -= 1
            return ANSWER

        setup = EngineSetup(
            backend=Sends(send), options=self.options, stop=stop, samples=self.samples
        )
        worker = RemoteWorker(setup, port, self.sharded, clock=now)
        member = Member(name, port, worker, stop)
        feed = self.sharded.feed(worker.leases, lambda: bool(stop))
        member.task = asyncio.create_task(worker.run(feed))
        self.members.append(member)
        return member

    async def ends(self, *members: Member, within: float = 1000.0) -> None:
        async with asyncio.timeout(within):
            for one in members or self.members:
                assert one.task is not None
                await one.task

    @property
    def sent(self) -> list[tuple[float, str]]:
        return sorted(sent for one in self.members for sent in one.sent)


def ids(count: int) -> list[str]:
    return [f"s{n}" for n in range(count)]


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., Cluster]:
    """Runs a script over a cluster in virtual time."""

    def play(
        script: Callable[[Cluster], Awaitable[None]],
        samples: int,
        size: int,
        **setup: Any,  # noqa: ANN401
    ) -> Cluster:
        async def main() -> Cluster:
            cluster = Cluster(Sharded(tmp_path, samples, size), size, **setup)
            await script(cluster)
            return cluster

        return virtual_time.run(main())

    return play


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
    assert cluster.most_at_once <= 30 + 20  # until each has learned of the others
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
