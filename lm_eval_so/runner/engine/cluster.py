"""The seam of engines that hand out whole shards, to workers that write the results."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from lm_eval_so.runner.engine.remote.port import Port
from lm_eval_so.runner.store.parts.lease import Range


class Ended(NamedTuple):
    """How a worker ended.

    Attributes:
        left: It left a run that goes on without it.
        findings: What it found out about the provider.
    """

    left: bool
    findings: Mapping[str, Any]


class Job(Protocol):
    """What a worker does; it is sent to its process, so it can be pickled."""

    async def __call__(self, port: Port, started: Callable[["Working"], None]) -> Ended:
        """Works until everything is sealed, or the coordinator's stop has been carried out.

        Args:
            port: To the coordinator.
            started: Gets what others may want of the worker while it works.
        """


class Working(Protocol):
    """A worker that works."""

    def beat_soon(self) -> None:
        """Makes the next heartbeat come at once, since there is news for the worker."""

    def leave(self) -> None:
        """Ends this worker; the run goes on without it."""


class Counted(NamedTuple):
    """Results of workers since the last time.

    Attributes:
        delivered: Results; ``failed`` of them are errors.
    """

    delivered: int
    failed: int


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """What an engine that hands out shards needs of a run.

    Attributes:
        owed: The ranges that are owed.
        last_epoch: The highest of all leases so far.
        job: What each worker does.
        counted: Told of results.
    """

    owed: Callable[[], Sequence[Range]]
    last_epoch: Callable[[], int]
    job: Job
    counted: Callable[[Counted], Awaitable[None]]
