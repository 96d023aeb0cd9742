"""Large runs in one process, whose results are in parts: memory, resume, and what sealing costs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from measure import BIN, Figure, aged, cost, provider
from memory import command, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from measure import Bench, Cost

FEW, MANY = 200_000, 2_000_000
SEALED = 100_000
IN_PARTS = "store.parts_above=0"
NOT_JOINED = "store.join_limit_gb=0"


def large(bench: Bench) -> Iterator[Figure]:
    """Two million samples, by a command that has not seen the dataset before; then their resume.

    The simulated backend answers at once. A line of the results has some 1,300 bytes.
    """
    runs, peaks = {}, []
    for count in (FEW, MANY):
        path, run = bench.folder / f"large-{count}.jsonl", bench.folder / f"large-{count}"
        write(path, count)
        aged(path)
        peaks.append(command(path, run, IN_PARTS, NOT_JOINED).peak_mb)
        runs[path] = run
    by_the_sample = (peaks[1] - peaks[0]) * 2**20 / (MANY - FEW)
    yield Figure(
        "peak memory of 2,000,000 samples in one process, checked and asked",
        f"{peaks[1]:.0f} MB, {by_the_sample:.0f} bytes a sample over 200,000",
        "at most 40 bytes a sample",
        by_the_sample <= 40,
    )
    start_s = min(cost(BIN / "lm-eval-so", "--help")[0].cpu_s for _ in range(3))
    yield resume(runs, start_s, "in parts", NOT_JOINED)
    for path, run in runs.items():
        command(path, run, IN_PARTS)
    yield resume(runs, start_s, "joined")


def resume(runs: dict[Path, Path], start_s: float, how: str, *overrides: str) -> Figure:
    """The resume of finished runs, fewer samples first; run directories by dataset."""
    few, many = (again(path, run, IN_PARTS, *overrides) for path, run in runs.items())
    more = many.peak_mb - few.peak_mb
    return Figure(
        f"resume of 2,000,000 finished samples, {how}",
        f"{many.cpu_s:.2f} s of CPU, --help {start_s:.2f} s; {many.peak_mb:.0f} MB, {more:+.0f} MB "
        "over 200,000",
        "under 2 s, at most +10 MB",
        many.cpu_s < 2 and more <= 10,
    )


def again(path: Path, run: Path, *overrides: str) -> Cost:
    """The same command once more, the least of three."""
    costs = [command(path, run, *overrides) for _ in range(3)]
    found = json.loads((run / "run_metadata.json").read_text())["summary"]
    if found["requests"] or found["resumed"] != found["total"]:
        raise RuntimeError(f"this was no resume: {found}")
    return min(costs, key=lambda one: one.cpu_s)


def sealed(bench: Bench) -> Iterator[Figure]:
    """The CPU of 100,000 samples in parts, which become one file at the end, beside one file."""
    dataset = bench.dataset(SEALED)
    ways: dict[str, list[str]] = {"one file": [], "in parts": [IN_PARTS]}
    spent: dict[str, list[float]] = {how: [] for how in ways}
    with provider() as server:
        for _ in range(3):
            for how, more in ways.items():
                ours = bench.ours(dataset, server, "runner.max_concurrency=64", *more)
                spent[how].append(ours.cost.cpu_s)
    whole, parts = (min(spent[how]) for how in ways)
    yield Figure(
        "CPU of 100,000 samples in parts beside one file",
        f"{parts:.1f} s, {whole:.1f} s: {parts / whole - 1:+.1%}",
        "at most +3%",
        parts / whole <= 1.03,
    )
