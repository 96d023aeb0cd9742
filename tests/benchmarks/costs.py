"""What a run costs in CPU, memory and time of its own."""

from __future__ import annotations

import sys
from collections import defaultdict
from typing import TYPE_CHECKING

from measure import BIN, HERE, Figure, cost, provider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from measure import Bench

EMPTY_APP = """
import hydra
@hydra.main(version_base="1.3", config_path=None)
def main(config): pass
main()
"""


def start_up(bench: Bench) -> Iterator[Figure]:
    """``--help`` beside that of an empty Hydra app."""
    app = bench.folder / "empty.py"
    app.write_text(EMPTY_APP)
    ours = min(cost(BIN / "lm-eval-so", "--help")[0].cpu_s for _ in range(7))
    empty = min(cost(sys.executable, app, "--help")[0].cpu_s for _ in range(7))
    yield Figure(
        "lm-eval-so --help",
        f"{ours:.2f} s of CPU, an empty Hydra app {empty:.2f} s",
        "at most 0.2 s more",
        ours - empty <= 0.2,
    )


def cpu(bench: Bench) -> Iterator[Figure]:
    """The slope between 2,000 and 20,000 samples, beside the bare loop's with as many in flight.

    ``auto`` ends at 256; a request costs more there than with 64, in the bare loop too.
    """
    out = bench.folder / "bare.jsonl"
    for how, at_once in (("auto", 256), ("64", 64)):
        ours, bare = [], []
        with provider() as server:
            for size in (bench.dataset(2000), bench.dataset(20_000)):
                loop = (sys.executable, HERE / "bare_loop.py", size, server.base_url, out, at_once)
                bare.append(min(cost(*loop)[0].cpu_s for _ in range(3)))
                fixed = f"runner.max_concurrency={how}"
                ours.append(min(bench.ours(size, server, fixed).cost.cpu_s for _ in range(3)))
        slopes = [(large - small) / 18 for small, large in (ours, bare)]
        ratio = slopes[0] / slopes[1]
        yield Figure(
            f"CPU per request, max_concurrency {how}",
            f"{slopes[0]:.3f} ms, bare loop {slopes[1]:.3f} ms: {ratio:.2f} times",
            "at most 2.0 times",
            ratio <= 2,
        )


def tracking(bench: Bench) -> Iterator[Figure]:
    """What MLflow adds: by the request (slope up to 10,000 samples), and once for the run.

    All processes are counted; the database is there already.
    """
    sizes = (bench.dataset(1000), bench.dataset(10_000))
    mlflow = ("tracking=mlflow", f"tracking.uri=sqlite:///{bench.folder}/mlflow.db")
    spent: dict[tuple[bool, int], list[float]] = defaultdict(list)
    with provider() as server:
        bench.ours(sizes[0], server, *mlflow)
        for _ in range(7):
            for n, size in enumerate(sizes):
                for tracked in (False, True):
                    fixed = ("runner.max_concurrency=64", *(mlflow if tracked else ()))
                    spent[tracked, n].append(bench.ours(size, server, *fixed).cost.cpu_s)
    least = {key: min(values) for key, values in spent.items()}
    plain, tracked = ((least[how, 1] - least[how, 0]) / 9 for how in (False, True))
    once = least[True, 0] - least[False, 0]
    yield Figure(
        "CPU per request with tracking=mlflow",
        f"{tracked:.3f} ms, without {plain:.3f} ms: {tracked / plain - 1:+.1%}; "
        f"once for the run {once:.1f} s",
        "at most +5%",
        tracked / plain <= 1.05,
    )


def latency(bench: Bench) -> Iterator[Figure]:
    """A constant latency of 200 ms, 64 at once, beside the bare loop."""
    dataset, spans = bench.dataset(2000), []
    with provider(latency_s=0.2) as server:
        bench.ours(dataset, server, "runner.max_concurrency=64")
        spans.append(server.stats()["span_s"])
    with provider(latency_s=0.2) as server:
        out = bench.folder / "bare.jsonl"
        cost(sys.executable, HERE / "bare_loop.py", dataset, server.base_url, out, 64)
        spans.append(server.stats()["span_s"])
    ours, bare = (span / (2000 * 0.2 / 64) for span in spans)
    yield Figure(
        "2,000 samples of 200 ms, 64 at once",
        f"{ours:.3f} of n * latency / 64, bare loop {bare:.3f}",
        "at most 1.03",
        ours <= 1.03,
    )


def size(bench: Bench) -> Iterator[Figure]:
    """Memory, and the resume of what is finished."""
    with provider() as server:
        small, large = (
            bench.ours(bench.dataset(count), server, run=f"size-{count}").cost
            for count in (10_000, 100_000)
        )
        before = server.stats()["requests"]
        again = bench.ours(bench.dataset(100_000), server, run="size-100000").cost
        sent = server.stats()["requests"] - before
    more = large.peak_mb - small.peak_mb
    yield Figure(
        "peak memory, 100,000 samples",
        f"{large.peak_mb:.0f} MB, {more:+.0f} MB over 10,000",
        "under 150 MB, at most +10 MB",
        large.peak_mb < 150 and more <= 10,
    )
    yield Figure(
        "resume of 100,000 finished",
        f"{again.cpu_s:.1f} s of CPU, {sent} requests",
        "under 3 s, nothing sent",
        again.cpu_s < 3 and not sent,
    )
