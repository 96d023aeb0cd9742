"""The leases of a worker: the next one is there before it is needed, a done one is told."""

import asyncio
import logging
from collections import deque
from typing import NamedTuple, Protocol

from lm_eval_so.runner.engine.coordinator.leases import Held, Sealing
from lm_eval_so.runner.engine.remote.port import Port, surely, wait_for
from lm_eval_so.runner.errors import StoreError
from lm_eval_so.runner.store.parts.layout import Marker
from lm_eval_so.runner.store.parts.lease import Asked, Lease
from lm_eval_so.runner.store.parts.part import Part

_LOG = logging.getLogger(__name__)


class Parts(Protocol):
    """The parts of a worker, in the run directory."""

    def open_part(self, lease: Lease) -> Part:
        """The part of a lease, with what earlier writers have left; raises StoreError."""

    def seal(self, marker: Marker) -> None:
        """Writes the marker of a part that is in order; raises StoreError."""

    def close_part(self, part: Part) -> None:
        """Makes its lines survive a power cut, and closes it; it is not sealed."""


class _Done(NamedTuple):
    lease: Lease
    marker: Marker | None


class Needs(Protocol):
    """Told of what the worker has to do."""

    def left(self) -> int:
        """Positions that are held and not begun."""

    def idle(self) -> None:
        """There is nothing to begin, until somebody else gives up a lease."""

    def busy(self) -> None:
        """There is something again."""

    def fail(self, fault: StoreError) -> None:
        """The run directory cannot be written."""


class RemoteLeases:
    """See `run.shard_feed.Leases`. Two tasks make the calls: `fetch` and `tell`.

    Only once the coordinator has accepted a lease is the marker of its part written. So one who has
    lost a lease without knowing it seals nothing.

    Args:
        port: To the coordinator.
        parts: Of the leases.
        needs: Of the worker.
    """

    def __init__(self, port: Port, parts: Parts, needs: Needs) -> None:
        self._port, self._parts, self._needs = port, parts, needs
        self._ahead: Lease | None = None
        self._finished = False
        self._untold: deque[_Done] = deque()
        self._arrived, self._taken = asyncio.Event(), asyncio.Event()
        self._done, self._told = asyncio.Event(), asyncio.Event()

    async def next(self) -> tuple[Lease, Part] | None:
        """See Leases. One caller at a time."""
        while self._ahead is None:
            if self._finished:
                return None
            self._needs.idle()
            self._arrived.clear()
            await self._arrived.wait()
        lease, self._ahead = self._ahead, None
        self._needs.busy()
        self._taken.set()
        return lease, self._parts.open_part(lease)

    def seal(self, part: Part, asked: Asked, unasked: int) -> None:
        """See Leases; the marker is written later."""
        self._untold.append(_Done(part.lease, part.put_in_order(asked, unasked)))
        self._done.set()

    def held(self) -> list[Held]:
        """The leases that are not in the hands of the feed: the next one, and those not told."""
        held = [Held(lease.epoch, lease.end) for lease, _ in self._untold]
        if self._ahead is not None:
            held.append(Held(self._ahead.epoch, self._ahead.first))
        return held

    @property
    def ahead(self) -> Lease | None:
        """The next lease."""
        return self._ahead

    def lose(self, epoch: int) -> None:
        """Somebody else has a lease, or will."""
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
            answer = await surely(lambda: self._port.lease(self._needs.left()))
            if answer.lease is not None:
                self._ahead = answer.lease
            self._finished = answer.finished
            if answer.lease is not None or answer.finished:
                self._arrived.set()
            else:
                await wait_for(self._taken, answer.ask_again_s)

    async def tell(self) -> None:
        """Tells of the leases that are done, until it is cancelled."""
        while True:
            await self._done.wait()
            self._done.clear()
            while self._untold:
                await self._tell(*self._untold[0])
                self._untold.popleft()
            self._taken.set()  # this may have been the last
            self._told.set()

    async def all_told(self) -> None:
        """Returns when nothing is left to tell."""
        while self._untold:
            self._told.clear()
            await self._told.wait()

    async def _tell(self, lease: Lease, marker: Marker | None) -> None:
        sealing = await surely(lambda: self._port.done(lease))
        if sealing is Sealing.NOT_YOURS:
            _LOG.warning("positions %d to %d are somebody else's by now", lease.first, lease.end)
        elif marker is not None:
            try:
                self._parts.seal(marker)
            except StoreError as fault:
                self._needs.fail(fault)
