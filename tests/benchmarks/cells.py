"""Two cells of a sweep in two processes, which share one limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from measure import BIN, Figure, cost, provider

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from measure import Bench

RATE = 300
LIMIT = f"runner.rate_limit={RATE}"
SIZES = (300, 6000)
BEHAVIOUR = {"latency_s": 0.05, "requests_per_minute": 60 * RATE, "headers": False}


def joblib(bench: Bench) -> Iterator[Figure]:
    """300 requests/s together, beside one process that sends as many requests without a sweep.

    CPU is a slope, since three processes start where one does otherwise; all of them are counted.
    """
    one = [alone(bench, size) for size in SIZES]
    small, _ = sweep(bench, SIZES[0])
    large, stats = sweep(bench, SIZES[1])
    two_ms, one_ms = (
        1000 * cpu_s / (SIZES[1] - SIZES[0]) for cpu_s in (large - small, one[1] - one[0])
    )
    span, refused = (
        stats["span_s"] / ((stats["requests"] - 1) / RATE),
        stats["statuses"].get("429", 0),
    )
    yield Figure(
        "two joblib cells of 3,000 samples at 300 requests/s together",
        f"{span:.3f} of the limit's; {refused} 429s; CPU {two_ms:.3f} ms a request, "
        f"one process {one_ms:.3f} ms: {two_ms / one_ms:.2f} times",
        "at most 1.06; none; at most 1.30 times",
        span <= 1.06 and not refused and two_ms <= 1.3 * one_ms,
    )


def alone(bench: Bench, count: int) -> float:
    """CPU seconds of one run under the limit."""
    with provider(**BEHAVIOUR) as server:
        return bench.ours(bench.dataset(count), server, LIMIT).cost.cpu_s


def sweep(bench: Bench, count: int) -> tuple[float, dict[str, Any]]:
    """CPU seconds of all processes, and what the provider saw, of two cells of half of it."""
    bench.runs += 1
    with provider(**BEHAVIOUR) as server:
        spent, _ = cost(
            *(BIN / "lm-eval-so", "-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
            *("backend=openai", "model=fake", "params.seed=0,1", LIMIT),
            *("dataset=path", f"dataset.path={bench.dataset(count // 2)}"),
            f"output_root={bench.folder / f'sweep-{bench.runs}'}",
            env=server.env,
        )
        return spent.cpu_s, server.stats()
