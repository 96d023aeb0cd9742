"""The requests that may be in flight at once, shared out to the workers."""

from typing import NamedTuple


class Bounds(NamedTuple):
    """Bounds of the requests in flight, of a whole run or of one worker; all 0: it has to rest."""

    start: int
    min: int
    max: int


class SharedBounds:
    """Shares the bounds of a run, so that those of the workers add up to them.

    Each worker gets at least 1. Where there are more workers than requests that may be in flight,
    some have to rest. A worker learns of a new share in its next heartbeat; until then the sum can
    be above the whole.

    Args:
        whole: Of the run; a fixed number has three equal bounds.
    """

    def __init__(self, whole: Bounds) -> None:
        self._whole = whole
        self._names: list[str] = []
        self._places: dict[str, int] = {}

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


def _part(whole: int, place: int, parts: int) -> int:
    return max(1, whole // parts + (place < whole % parts))
