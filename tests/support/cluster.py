"""A run over several workers in one event loop, in virtual time; parts are on disk."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lm_eval_so.runner.config.schema import RunnerOptions
from lm_eval_so.runner.engine.base import EngineSetup, Stop
from lm_eval_so.runner.engine.coordinator.coordinator import Coordinator, CoordinatorSetup
from lm_eval_so.runner.engine.coordinator.shards import owed
from lm_eval_so.runner.engine.remote.worker import RemoteWorker
from lm_eval_so.runner.models import ChatResponse, RunRequest, TokenUsage
from support.backends import Sends
from support.local_port import LocalPort
from support.virtual_time import now

if TYPE_CHECKING:
    from collections.abc import Callable

    from lm_eval_so.runner.errors import (
        BackendError,
    )
    from support.sharded import Sharded

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
        self.coordinator.expect(name, now())
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
