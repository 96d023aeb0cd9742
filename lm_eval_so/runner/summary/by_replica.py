"""The results of each replica of a pool by themselves."""

from collections.abc import Mapping
from typing import Any

from lm_eval_so.runner.models import Value
from lm_eval_so.runner.summary.histogram import Histogram

_MOST_REPLICAS = 1000


class ReplicaSummary(Value):
    """The samples that one replica has settled: those whose last attempt it got.

    Attributes:
        n: Samples, failed ones included.
        latency_p50_ms: Of the answered samples; None without any.
    """

    n: int
    ok: int
    failed: int
    latency_p50_ms: float | None


class _Replica:
    __slots__ = ("latencies", "n", "ok")

    def __init__(self) -> None:
        self.n = self.ok = 0
        self.latencies = Histogram()


class ByReplica:
    """Adds up results by who served them; of the first 1,000 replicas that come."""

    def __init__(self) -> None:
        self._replicas: dict[str, _Replica] = {}

    def add(self, result: Mapping[str, Any]) -> None:
        """Counts a RunResult line."""
        response = result["response"]
        name = (response or result["error"]).get("served_by")
        if name is None or (replica := self._of(name)) is None:
            return
        replica.n += 1
        if response is not None:
            replica.ok += 1
            if result["latency_ms"] is not None:
                replica.latencies.add(result["latency_ms"])

    def merge(self, other: "ByReplica") -> None:
        """Counts all that the other has counted."""
        for name, theirs in other._replicas.items():
            if (replica := self._of(name)) is not None:
                replica.n += theirs.n
                replica.ok += theirs.ok
                replica.latencies.merge(theirs.latencies)

    def summary(self) -> dict[str, ReplicaSummary]:
        """By replica, in alphabetical order; empty without a pool."""
        return {name: _summary(self._replicas[name]) for name in sorted(self._replicas)}

    def _of(self, name: str) -> _Replica | None:
        found = self._replicas.get(name)
        if found is None and len(self._replicas) < _MOST_REPLICAS:
            found = self._replicas[name] = _Replica()
        return found


def _summary(replica: _Replica) -> ReplicaSummary:
    latency = replica.latencies.distribution()
    return ReplicaSummary(
        n=replica.n,
        ok=replica.ok,
        failed=replica.n - replica.ok,
        latency_p50_ms=latency and latency["p50"],
    )
