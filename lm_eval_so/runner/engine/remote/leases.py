"""The leases of a worker: the next one is there before it is needed, a sealed one is told."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from lm_eval_so.runner.engine.coordinator.leases import LEASE_S, Held, Sealing
from lm_eval_so.runner.engine.remote.port import Port, surely, wait_for
from lm_eval_so.runner.store.parts.lease import Asked, Lease
from lm_eval_so.runner.store.parts.part import Part

_LOG = logging.getLogger(__name__)


class Parts(Protocol):
    """The parts of a worker, in the run directory."""

    def open_part(self, lease: Lease) -> Part:
        """The part of a lease, with what earlier writers have left; raises StoreError."""

    def seal(self, part: Part, asked: Asked, unasked: int) -> None:
        """See `Part.seal`."""

    def close_part(self, part: Part) -> None:
        """Makes its lines survive a power cut, and closes it; it is not sealed."""


class RemoteLeases:
    """See `run.shard_feed.Leases`. Two tasks make the calls: `fetch` and `tell`.

    Args:
        port: To the coordinator.
        parts: Opens and seals the parts.
        left: Positions that are held and not begun.
        idle: Told whether there is nothing to begin until somebody else gives up a lease.
        clock: Seconds; never goes back.
        lease_s: Seconds that a lease lives beyond the last heartbeat that named it.
    """

    def __init__(
        self,
        port: Port,
        parts: Parts,
        *,
        left: Callable[[], int],
        idle: Callable[[bool], None],
        clock: Callable[[], float] = time.monotonic,
        lease_s: float = LEASE_S,
    ) -> None:
        self._port, self._parts = port, parts
        self._left, self._idle = left, idle
        self._clock, self._lease_s = clock, lease_s
        self._ahead: Lease | None = None
        self._finished = False
        self._untold: deque[Lease] = deque()
        self._ours_until: dict[int, float] = {}  # by epoch
        self._arrived, self._taken, self._sealed = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def next(self) -> tuple[Lease, Part] | None:
        """See Leases. One caller at a time."""
        while self._ahead is None:
            if self._finished:
                return None
            self._idle(True)
            self._arrived.clear()
            await self._arrived.wait()
        lease, self._ahead = self._ahead, None
        self._idle(False)
        self._taken.set()
        return lease, self._parts.open_part(lease)

    def seal(self, part: Part, asked: Asked, unasked: int) -> None:
        """See Leases. A part whose lease may be somebody else's by now is not sealed."""
        epoch = part.lease.epoch
        if self._clock() >= self._ours_until.get(epoch, 0.0):
            _LOG.warning("positions %d to %d: the lease ran out", part.lease.first, part.lease.end)
            self._parts.close_part(part)
            return
        self._parts.seal(part, asked, unasked)
        self._untold.append(part.lease)
        self._sealed.set()

    def held(self) -> list[Held]:
        """The leases that are not in the hands of the feed: the next one, and those not told."""
        held = [Held(lease.epoch, lease.end) for lease in self._untold]
        if self._ahead is not None:
            held.append(Held(self._ahead.epoch, self._ahead.first))
        return held

    def named(self, epochs: Iterable[int], at: float) -> None:
        """A heartbeat that left at a time has renewed these leases."""
        for epoch in self._ours_until.keys() & set(epochs):
            self._ours_until[epoch] = at + self._lease_s

    @property
    def ahead(self) -> Lease | None:
        """The next lease."""
        return self._ahead

    def lose(self, epoch: int) -> None:
        """Somebody else has a lease, or will."""
        self._ours_until.pop(epoch, None)
        if self._ahead is not None and self._ahead.epoch == epoch:
            self._ahead = None
            self._taken.set()

    def end_at(self, epoch: int, position: int) -> int | None:
        """Ends the next lease early; returns where, or None where it is not that one."""
        ahead = self._ahead
        if ahead is None or ahead.epoch != epoch:
            return None
        position = min(max(position, ahead.first), ahead.end)
        self._ahead = Lease(ahead.first, position - ahead.first, epoch)
        if position == ahead.first:
            self.lose(epoch)
        return position

    async def fetch(self) -> None:
        """Keeps one lease ahead, until everything is sealed."""
        while not self._finished:
            while self._ahead is not None:
                await self._taken.wait()
                self._taken.clear()
            asked_at = self._clock()
            answer = await surely(lambda: self._port.lease(self._left()))
            if answer.lease is not None:
                self._ours_until[answer.lease.epoch] = asked_at + self._lease_s
                self._ahead = answer.lease
            self._finished = answer.finished
            if answer.lease is not None or answer.finished:
                self._arrived.set()
            else:
                await wait_for(self._taken, answer.ask_again_s)

    async def tell(self) -> None:
        """Tells of the sealed leases, until it is cancelled."""
        while True:
            await self._sealed.wait()
            self._sealed.clear()
            while self._untold:
                lease = self._untold[0]
                if await surely(lambda: self._port.done(lease)) is Sealing.NOT_YOURS:  # noqa: B023
                    _LOG.warning("positions %d to %d are somebody else's", lease.first, lease.end)
                self._untold.popleft()
                self._ours_until.pop(lease.epoch, None)
            self._taken.set()  # this may have been the last
