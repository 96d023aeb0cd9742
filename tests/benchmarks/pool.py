"""Several servers for one model: how close their pace comes to the best that any choice reaches."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from measure import Figure, provider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from measure import Bench, Run

FAST_S, SLOW_S = 0.05, 0.3
SAMPLES, AT_ONCE = 3000, 48
MOST = 1.15  # of the best time


def pool(bench: Bench) -> Iterator[Figure]:
    """Servers of 50, 50 and 300 ms, which take any number at once, or 16 and queue the rest.

    The best is measured: one server of 50 ms with as many in flight as the fast ones can take; what
    the slow one can add is reckoned.
    """
    for places in (0, 16):
        fast = min(AT_ONCE, 2 * (places or AT_ONCE))
        alone, _ = _run(bench, [FAST_S], 0, fast)
        per_s = SAMPLES / _seconds(alone) + (AT_ONCE - fast) / SLOW_S
        pooled, requests = _run(bench, [FAST_S, FAST_S, SLOW_S], places, AT_ONCE)
        took = _seconds(pooled) * per_s / SAMPLES
        yield Figure(
            f"{SAMPLES:,} samples, servers of 50, 50 and 300 ms, {places or 'any number'} at once",
            f"{took:.2f} of the best; {requests} requests",
            f"at most {MOST}; all ok",
            took <= MOST and not pooled.not_ok,
        )


def _seconds(run: Run) -> float:
    seconds: float = run.metadata["summary"]["wall_time_s"]
    return seconds


def _run(bench: Bench, latencies: list[float], places: int, at_once: int) -> tuple[Run, list[int]]:
    """A run against servers of these latencies, and the requests that each got."""
    with ExitStack() as stack:
        servers = [
            stack.enter_context(provider(latency_s=latency, queue=places)) for latency in latencies
        ]
        addresses = ",".join(server.base_url for server in servers)
        run = bench.ours(
            bench.dataset(SAMPLES),
            servers[0],
            f"backend.options.base_url=[{addresses}]",
            f"runner.max_concurrency={at_once}",
        )
        return run, [server.stats()["requests"] for server in servers]
