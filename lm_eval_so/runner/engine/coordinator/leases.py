"""Who works on which range of the dataset: each position has one owner, and is sealed once."""

from collections import deque
from collections.abc import Collection, Iterable
from enum import Enum
from typing import NamedTuple

from lm_eval_so.runner.engine.coordinator.splits import ASK_AGAIN_S, Holder, Holding, Splits
from lm_eval_so.runner.store.parts.lease import Lease, Range

LEASE_S = 30.0
"""Seconds that a lease lives beyond the last heartbeat that named it."""
EPOCHS_LEFT_OUT = 10_000
"""A lease whose part was never begun left no epoch on disk, and its holder may still live."""


class Held(NamedTuple):
    """What a worker says of a lease that it holds.

    Attributes:
        epoch: Of the lease.
        begun: The first position that it has not begun, and no earlier one is left out.
    """

    epoch: int
    begun: int


class EndAt(NamedTuple):
    """Asks the holder of a lease to end it early, for a worker without work.

    The holder answers with `Leases.ended` and the position that it ends at: this one, or a later
    one where it has begun more.

    Attributes:
        epoch: Of the lease.
        position: The first that somebody else would do.
    """

    epoch: int
    position: int


class Next(NamedTuple):
    """The answer to a worker that asks for work.

    Attributes:
        lease: What to do next; None where there is nothing to hand out now.
        ask_again_s: Seconds; where there may be something later.
        finished: Everything is sealed, and there will be nothing more.
    """

    lease: Lease | None = None
    ask_again_s: float = 0.0
    finished: bool = False


class Sealing(Enum):
    """The answer to a worker that has finished a lease."""

    ACCEPTED = "sealed, and the marker may be written"
    BEFORE = "it was accepted already: the call came twice"
    NOT_YOURS = "somebody else has it: what was written does not count"


class Renewal(NamedTuple):
    """The answer to a heartbeat.

    Attributes:
        lost: Epochs that the worker named and does not hold: it stops working on them.
        end_at: Leases that it is asked to end early.
    """

    lost: tuple[int, ...] = ()
    end_at: tuple[EndAt, ...] = ()


class Leases:
    """Hands out ranges, takes them back, and splits the last ones.

    A lease that is in no heartbeat for too long is taken back; so is one whose grant or whose end
    was lost on the way, since its worker does not name it. No call raises.

    Args:
        owed: Ranges to hand out, in this order.
        highest: The highest epoch on disk; 0 for a new run directory.
        lease_s: Seconds that a lease lives beyond the last heartbeat that named it.

    Attributes:
        sealed: Positions sealed through this object.
    """

    def __init__(
        self, owed: Iterable[Range], *, highest: int = 0, lease_s: float = LEASE_S
    ) -> None:
        self._fresh = deque(owed)
        self._back: deque[Range] = deque()
        self._live: dict[int, Holding] = {}  # by epoch; the one to expire next comes first
        self._holders: dict[str, Holder] = {}
        self._sealed_by: dict[int, str] = {}
        self._epoch = highest + EPOCHS_LEFT_OUT if highest else 0
        self._lease_s = lease_s
        self._splits = Splits()
        self.sealed = 0

    @property
    def finished(self) -> bool:
        """Everything is sealed."""
        return not (self._live or self._back or self._fresh)

    @property
    def holders(self) -> int:
        """Workers that hold a lease."""
        return sum(bool(holder.holdings) for holder in self._holders.values())

    def next(self, worker: str, now: float, *, left: int = 0) -> Next:
        """A lease for a worker; what came back goes first.

        Args:
            worker: Who asks.
            now: Seconds.
            left: Positions that the worker holds and has not begun. Only with 0 is it idle, so
                that somebody else's lease is split for it.
        """
        self.expire(now)
        queue = self._back or self._fresh
        if queue:
            return Next(self._grant(worker, queue.popleft(), now))
        if self.finished:
            return Next(finished=True)
        if left <= 0:
            self._splits.wanted(worker, now)
            self._splits.plan(self._holders, now)
        return Next(ask_again_s=ASK_AGAIN_S)

    def renew(self, worker: str, held: Collection[Held], now: float) -> Renewal:
        """Takes a heartbeat: the leases that it names live on."""
        self.expire(now)
        lost: list[int] = []
        end_at: list[EndAt] = []
        for epoch, begun in held:
            holding = self._of(worker, epoch)
            if holding is None:
                lost.append(epoch)
                continue
            self._live[epoch] = self._live.pop(epoch)
            holding.named_at = now
            self._holders[worker].advance(holding, begun)
            if holding.asked is not None:
                end_at.append(EndAt(epoch, max(holding.asked, holding.begun)))
        return Renewal(tuple(lost), tuple(end_at))

    def ended(self, worker: str, epoch: int, position: int) -> Lease | None:
        """The holder ends a lease at a position, asked or not; the rest is handed on.

        Returns:
            The lease as it is from now on, with no samples where nothing is left of it; None where
            the worker does not hold it.
        """
        holding = self._of(worker, epoch)
        if holding is None:
            return None
        holding.asked = None
        if holding.first <= position < holding.end:
            self._back.append(Range.between(position, holding.end))
            holding.shorten(position)
            if position == holding.first:
                self._drop(epoch, holding)
        return Lease(holding.first, holding.end - holding.first, epoch)

    def done(self, worker: str, lease: Lease) -> Sealing:
        """Takes a finished lease, once and only from its holder.

        One that is shorter than what was granted was ended early; its rest is handed on.
        """
        if self._sealed_by.get(lease.epoch) == worker:
            return Sealing.BEFORE
        holding = self._of(worker, lease.epoch)
        if holding is None or lease.first != holding.first or lease.count <= 0:
            return Sealing.NOT_YOURS
        if lease.end > holding.end:
            return Sealing.NOT_YOURS
        if lease.end < holding.end:
            self._back.append(Range.between(lease.end, holding.end))
            holding.shorten(lease.end)
        self._holders[worker].advance(holding, holding.end)
        self._drop(lease.epoch, holding)
        self._sealed_by[lease.epoch] = worker
        self.sealed += lease.count
        return Sealing.ACCEPTED

    def release(self, worker: str, epoch: int) -> bool:
        """Takes back a whole lease that its holder gives up; whether it held it."""
        holding = self._of(worker, epoch)
        if holding is not None:
            self._take_back(epoch, holding)
        return holding is not None

    def gone(self, worker: str) -> None:
        """Takes back all that a worker holds."""
        holder = self._holders.pop(worker, None)
        self._splits.gone(worker)
        for epoch, holding in dict(holder.holdings if holder else {}).items():
            self._take_back(epoch, holding)

    def expire(self, now: float) -> None:
        """Takes back the leases that were in no heartbeat for too long."""
        while self._live:
            epoch, holding = next(iter(self._live.items()))
            if now - holding.named_at <= self._lease_s:
                return
            self._take_back(epoch, holding)

    def _of(self, worker: str, epoch: int) -> Holding | None:
        holding = self._live.get(epoch)
        return holding if holding is not None and holding.worker == worker else None

    def _grant(self, worker: str, work: Range, now: float) -> Lease:
        self._epoch += 1
        holding = Holding(worker, work.first, work.end, begun=work.first, named_at=now)
        self._live[self._epoch] = holding
        holder = self._holders.setdefault(worker, Holder(since=now))
        holder.holdings[self._epoch] = holding
        self._splits.served(worker)
        return Lease(work.first, work.end - work.first, self._epoch)

    def _take_back(self, epoch: int, holding: Holding) -> None:
        self._drop(epoch, holding)
        self._back.append(Range.between(holding.first, holding.end))

    def _drop(self, epoch: int, holding: Holding) -> None:
        del self._live[epoch]
        holder = self._holders.get(holding.worker)
        if holder is not None:
            holder.holdings.pop(epoch, None)
