"""The results of each replica of a pool by themselves."""

from collections.abc import Mapping
from typing import Any, Self, TypedDict

from lm_eval_so.runner.models import Value
from lm_eval_so.runner.summary.counts import Number
from lm_eval_so.runner.summary.histogram import Histogram, HistogramState

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


class ReplicaState(TypedDict):
    """The samples of a replica as JSON data."""

    n: Number
    ok: Number
    latencies: HistogramState


class _Replica:
    __slots__ = ("latencies", "n", "ok")

    def __init__(self) -> None:
        self.n = self.ok = 0
        self.latencies = Histogram()

    def state(self) -> ReplicaState:
        return {"n": self.n, "ok": self.ok, "latencies": self.latencies.state()}

    @classmethod
    def of_state(cls, state: ReplicaState) -> Self:
        replica = cls()
        replica.n, replica.ok = state["n"], state["ok"]
        replica.latencies = Histogram.of_state(state["latencies"])
        return replica


class ByReplica:
    """Adds up results by who served them.

    Args:
        most: Replicas that are counted: the first that come.
    """

    def __init__(self, most: float = _MOST_REPLICAS) -> None:
        self._most = most
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

    def state(self) -> dict[str, ReplicaState]:
        """The same as JSON data."""
        return {name: replica.state() for name, replica in self._replicas.items()}

    @classmethod
    def of_state(cls, state: Mapping[str, ReplicaState], most: float = _MOST_REPLICAS) -> Self:
        """What `state` has given."""
        replicas = cls(most)
        replicas._replicas = {name: _Replica.of_state(found) for name, found in state.items()}
        return replicas

    def summary(self) -> dict[str, ReplicaSummary]:
        """By replica, in alphabetical order; empty without a pool."""
        return {name: _summary(self._replicas[name]) for name in sorted(self._replicas)}

    def _of(self, name: str) -> _Replica | None:
        found = self._replicas.get(name)
        if found is None and len(self._replicas) < self._most:
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
