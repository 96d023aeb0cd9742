"""The seam of those who drive the requests that are owed.

An engine asks a feed for one request after the other, gets each answered in its own way, and
delivers what became of it. It decides nothing about a run's files or its report.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from lm_eval_so.runner.backends.base import ChatBackend
from lm_eval_so.runner.config.schema import EngineConfig, RunnerOptions
from lm_eval_so.runner.models import Outcome, RunRequest, Value
from lm_eval_so.runner.store.spent import SpentFile
from lm_eval_so.runner.strategy.price import Price

if TYPE_CHECKING:
    from lm_eval_so.runner.engine.cluster import Cluster

Deliver = Callable[[RunRequest, Outcome], Awaitable[None]]
"""Takes the outcome of a request; when it returns, the result is safe in the file."""


class Stop:
    """The one way to end a run early: the first reason holds.

    Args:
        public: Makes of a reason the one that is kept, without secrets.
    """

    def __init__(self, public: Callable[[BaseException], BaseException] = lambda own: own) -> None:
        self.reason: BaseException | None = None
        self._public = public
        self.at_once = False
        self._changed = asyncio.Event()

    def __bool__(self) -> bool:
        return self.reason is not None

    def request(self, reason: BaseException, *, at_once: bool = False) -> None:
        """Asks for the end: nothing more is sent; ``at_once``, what is in flight is given up."""
        self.reason = self.reason or self._public(reason)
        self.at_once = self.at_once or at_once
        self._changed.set()

    async def wait(self) -> None:
        """Returns at the next request."""
        await self._changed.wait()
        self._changed.clear()


class Feed(Protocol):
    """The requests that are owed. Any number of tasks may ask at once."""

    async def next(self) -> RunRequest | None:
        """The next request; None when there is no more, or the run is stopping."""


class Live(Value):
    """What goes on at this moment; an engine leaves out what it does not know.

    Attributes:
        in_flight: Requests on the wire.
        requests: Requests sent so far by this command.
        concurrency: Requests that may be in flight at once.
        rate_limit: Requests per second.
        paused_s: Seconds until the pause that a server asked for is over.
    """

    in_flight: int = 0
    requests: int = 0
    concurrency: int | None = None
    rate_limit: float | None = None
    paused_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class EngineSetup:
    """What an engine may need of a run; each takes what it uses.

    Attributes:
        backend: What answers; the engine opens and closes it.
        options: How the run is carried out.
        stop: Ends the run early, whoever asks for it.
        samples: Results that the run has when it is complete.
        answered_before: Whether earlier commands left an answer here.
        price: Of the model, where it is known.
        spent: Keeps what all commands of the run have taken; None keeps nothing.
        results: The result lines; they tell what was taken where ``spent`` does not.
        share_limits_in: Folder through which processes share the provider's limits.
        engine: The config of the engine.
        cluster: For an engine that hands out shards; None for a run that is not in parts.
    """

    backend: ChatBackend
    options: RunnerOptions
    stop: Stop
    samples: int = 1
    answered_before: Callable[[], bool] = lambda: False
    price: Price | None = None
    spent: SpentFile | None = None
    results: Path | None = None
    share_limits_in: Path | None = None
    engine: EngineConfig = field(default_factory=EngineConfig)
    cluster: "Cluster | None" = None


class Engine(Protocol):
    """Drives the requests that are owed. Made by `create_engine` from an EngineSetup alone.

    Opened once with ``async with`` before the first request, which opens the backend too.
    """

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *_: object) -> None: ...

    async def run(self, feed: Feed, deliver: Deliver) -> None:
        """Returns when all is delivered, or the stop has been carried out.

        A fault of the engine, the feed or ``deliver`` is a request to stop. Called again where the
        results file has lost lines, with a feed of these.
        """

    def live(self) -> Live:
        """What goes on at this moment."""

    def findings(self) -> dict[str, Any]:
        """What was found out about the provider, as JSON data for ``run_metadata.json``."""
