"""The requests that may be in flight at once, shared out to the workers."""

from typing import NamedTuple


class Bounds(NamedTuple):
    """Bounds of the requests in flight, of a whole run or of one worker; all 0: it has to rest."""

    start: int
    min: int
    max: int


class SharedBounds:
    """Shares the bounds of a run, so that what all workers may have in flight adds up to them.

    Each worker has a share of at least 1. Where there are more workers than requests that may be
    in flight, some have to rest. A worker that comes later gets of its share what the others do
    not hold, and the rest as they give it up: what is in flight cannot be taken back.

    Args:
        whole: Of the run; a fixed number has three equal bounds.
    """

    def __init__(self, whole: Bounds) -> None:
        self._whole = whole
        self._names: list[str] = []
        self._places: dict[str, int] = {}
        self._held: dict[str, int] = {}
        self._held_by_all = 0

    def join(self, worker: str) -> None:
        """A worker came, or is there already."""
        if worker not in self._places:
            self._places[worker] = len(self._names)
            self._names.append(worker)

    def leave(self, worker: str) -> None:
        """A worker went; the last one takes its place, so that the others keep theirs."""
        place = self._places.pop(worker, None)
        if place is None:
            return
        self._hold(worker, 0)
        last = self._names.pop()
        if last != worker:
            self._names[place] = last
            self._places[last] = place

    def of(self, worker: str) -> Bounds:
        """The share of a worker; of one that is not there, nothing."""
        place = self._places.get(worker)
        parts = min(len(self._names), self._whole.max)
        if place is None or place >= parts:
            return Bounds(0, 0, 0)
        return Bounds(*(_part(one, place, parts) for one in self._whole))

    def give(self, worker: str, holds: int) -> Bounds:
        """What a worker may have in flight from now on: its share, or the free part of it.

        Args:
            worker: One that is there.
            holds: What it has in flight, or may have by the bounds that it goes by; the greater.
        """
        share = self.of(worker)
        free = self._whole.max - self._held_by_all + self._held.get(worker, 0)
        most = min(share.max, max(free, holds))
        self._hold(worker, max(most, holds))
        return Bounds(*(min(one, most) for one in share))

    def _hold(self, worker: str, slots: int) -> None:
        self._held_by_all += slots - self._held.pop(worker, 0)
        if slots:
            self._held[worker] = slots


def _part(whole: int, place: int, parts: int) -> int:
    return max(1, whole // parts + (place < whole % parts))
