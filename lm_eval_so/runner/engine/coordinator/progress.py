"""What all workers have done so far, summed up for the driver."""

from collections.abc import Mapping
from typing import NamedTuple


class Counts(NamedTuple):
    """What was done since the worker began, or by all.

    Totals and no differences: a heartbeat that is lost or comes twice does no harm.

    Attributes:
        delivered: Results written.
        ok: Of these, answers.
        requests: Attempts sent.
        in_flight: Requests on the wire now.
        failed: Results that are errors, by type.
    """

    delivered: int = 0
    ok: int = 0
    requests: int = 0
    in_flight: int = 0
    failed: Mapping[str, int] = {}


class Progress:
    """Sums counts up; what a worker did counts on when it has gone."""

    def __init__(self) -> None:
        self._delivered = self._ok = self._requests = self._in_flight = 0
        self._failed: dict[str, int] = {}
        self._last: dict[str, Counts] = {}

    def note(self, worker: str, counts: Counts) -> None:
        """Takes a worker's counts; the caller leaves out those that came late."""
        last = self._last.get(worker, Counts())
        self._last[worker] = counts
        self._delivered += counts.delivered - last.delivered
        self._ok += counts.ok - last.ok
        self._requests += counts.requests - last.requests
        self._in_flight += counts.in_flight - last.in_flight
        for kind, number in counts.failed.items():
            more = number - last.failed.get(kind, 0)
            self._failed[kind] = self._failed.get(kind, 0) + more

    def gone(self, worker: str) -> None:
        """Nothing of this worker is in flight any more."""
        last = self._last.get(worker)
        if last is not None:
            self.note(worker, last._replace(in_flight=0))

    def total(self) -> Counts:
        """Of all workers."""
        return Counts(
            self._delivered, self._ok, self._requests, self._in_flight, dict(self._failed)
        )
