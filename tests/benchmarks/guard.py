"""The figures a user feels, in under a minute: ``make guard``.

All come from the command line with the default config, and are ratios within one run. What falls
short is measured once more before it is believed, since machines are noisy. The exit code is 1 when
something falls short twice.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pace
from measure import HERE, Bench, Cost, Figure, cost, provider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from measure import Provider

    Part = Callable[[Bench], Iterator[Figure]]

AT_ONCE = 256
"""Where ``auto`` ends: with more in flight a request costs more, in the bare loop too."""
IMPORTS = "import hydra, openai"


@dataclass(frozen=True)
class Size:
    """What so many samples cost.

    Attributes:
        first: The run.
        again: The same command once more, which finds all of them finished.
        bare: The bare loop; with its start, as the run is.
        parse_s: Seconds of CPU to read the dataset and the results as JSON, and no more.
    """

    count: int
    first: Cost
    again: Cost
    bare: Cost
    parse_s: float


def sizes(bench: Bench) -> Iterator[Figure]:
    """A run of 20,000 samples beside one of 2,000, against a server that answers at once.

    CPU is a slope between the two, so that the start of the process is no part of it.
    """
    with provider() as server:
        small, large = measured(bench, server, 2000, times=2), measured(bench, server, 20_000)
    between = large.count - small.count
    ours, bare = large.first.cpu_s - small.first.cpu_s, large.bare.cpu_s - small.bare.cpu_s
    yield Figure(
        "CPU per request beside a bare loop",
        f"{1000 * ours / between:.3f} ms, {1000 * bare / between:.3f} ms: {ours / bare:.2f} times",
        "at most 2.00 times",
        ours / bare <= 2,
    )
    more = large.first.peak_mb - small.first.peak_mb
    yield Figure(
        "peak memory, 20,000 samples beside 2,000",
        f"{large.first.peak_mb:.0f} MB, {more:+.1f} MB",
        "at most +4 MB",
        more <= 4,
    )
    again, parse = large.again.cpu_s - small.again.cpu_s, large.parse_s - small.parse_s
    yield Figure(
        "resume of finished samples beside parsing the files",
        f"{1e6 * again / between:.0f} us a sample, {1e6 * parse / between:.0f} us: "
        f"{again / parse:.1f} times",
        "at most 5.0 times",
        again / parse <= 5,
    )


def measured(bench: Bench, server: Provider, count: int, times: int = 1) -> Size:
    """The least of so many times; the resume, which is short, of one more."""
    dataset, bare = bench.dataset(count), bench.folder / "bare.jsonl"
    loop = (sys.executable, HERE / "bare_loop.py", dataset, server.base_url, bare, AT_ONCE)
    names = [f"size-{count}-{bench.runs}-{n}" for n in range(times)]
    first = [bench.ours(dataset, server, run=name).cost for name in names]
    again = [bench.ours(dataset, server, run=names[0]).cost for _ in range(times + 1)]
    parse = (sys.executable, HERE / "parse.py", dataset)
    parse_s = subprocess.check_output([*parse, bench.folder / names[0] / "run_results.jsonl"])
    return Size(
        count,
        least(first),
        least(again),
        least(cost(*loop)[0] for _ in range(times)),
        float(parse_s),
    )


def least(costs: Iterable[Cost]) -> Cost:
    return min(costs, key=lambda one: one.cpu_s)


def three(bench: Bench) -> Iterator[Figure]:
    """Three samples from the fake provider: the simulated one would import no client."""
    dataset = bench.dataset(3)
    with provider() as server:
        ours = least(bench.ours(dataset, server).cost for _ in range(3)).cpu_s
    imports = least(cost(sys.executable, "-c", IMPORTS)[0] for _ in range(3)).cpu_s
    yield Figure(
        f"a run of three samples beside `{IMPORTS}`",
        f"{ours:.2f} s of CPU, {imports:.2f} s: {ours / imports:.2f} times",
        "at most 2.00 times",
        ours / imports <= 2,
    )


# A short run has the overshoot of a long one: 25% of these are as many as 6% of 6,000.
PARTS: tuple[Part, ...] = (
    partial(pace.slots, count=1200, refused=0.25),
    partial(pace.told, count=500),
    sizes,
    three,
)


def twice(part: Part, bench: Bench) -> Iterator[Figure]:
    """The figures of a part; those that fall short as they are the second time."""
    first = list(part(bench))
    if all(figure.met for figure in first):
        yield from first
        return
    short = ", ".join(figure.what for figure in first if not figure.met)
    print(f"once more, since it fell short: {short}", flush=True)  # noqa: T201
    second = part(bench)
    yield from (
        before if before.met else after for before, after in zip(first, second, strict=True)
    )


def main(parts: Iterable[Part] = PARTS) -> int:
    """The exit code."""
    began, met = time.monotonic(), True
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        for figure in (figure for part in parts for figure in twice(part, bench)):
            met &= figure.met
            print(figure.line, flush=True)  # noqa: T201
    print(f"{time.monotonic() - began:.0f} s")  # noqa: T201
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
