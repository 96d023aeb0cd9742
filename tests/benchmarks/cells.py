"""Two cells of a sweep in two processes, which share one limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from measure import BIN, Figure, cost, provider

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from measure import Bench

RATE = 300
SIZES = (300, 6000)


def joblib(bench: Bench) -> Iterator[Figure]:
    """300 requests/s together, beside one process that sends as many requests.

    CPU is a slope, since three processes start where one does otherwise; all of them are counted.
    """
    one = [sweep(bench, size, 1)[0] for size in SIZES]
    small = sweep(bench, SIZES[0] // 2, 2)[0]
    large, stats = sweep(bench, SIZES[1] // 2, 2)
    between = (SIZES[1] - SIZES[0]) / 1000
    ratio = (large - small) / (one[1] - one[0])
    span, refused = stats["span_s"] / ((stats["requests"] - 1) / RATE), stats["statuses"].get("429")
    yield Figure(
        "two joblib cells of 3,000 samples at 300 requests/s together",
        f"{span:.3f} of the limit's; {refused or 0} 429s; CPU {(large - small) / between:.3f} ms a "
        f"request, one process {(one[1] - one[0]) / between:.3f} ms: {ratio:.2f} times",
        "at most 1.06; none; at most 1.30 times",
        span <= 1.06 and not refused and ratio <= 1.3,
    )


def sweep(bench: Bench, count: int, cells: int) -> tuple[float, dict[str, Any]]:
    """CPU seconds of all processes, and what the provider saw, of so many cells at once."""
    bench.runs += 1
    root = bench.folder / f"sweep-{bench.runs}"
    with provider(latency_s=0.05, requests_per_minute=RATE * 60) as server:
        spent, _ = cost(
            *(BIN / "lm-eval-so", "-m", "hydra/launcher=joblib"),
            *(f"hydra.launcher.n_jobs={cells}", f"runner.rate_limit={RATE}"),
            *("backend=openai", "model=fake", "dataset=path", f"output_root={root}"),
            f"dataset.path={bench.dataset(count)}",
            "params.seed=" + ",".join(str(cell) for cell in range(cells)),
            **server.env,
        )
        return spent.cpu_s, server.stats()
