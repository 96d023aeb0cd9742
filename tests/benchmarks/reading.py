"""What it costs to read a dataset and results: the check, and the resume of what is finished."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from measure import HERE, Figure, aged
from memory import MANY, MOST, command, finish, write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from measure import Bench

FEW = 10_000


def checked(bench: Bench) -> Iterator[Figure]:
    """The first check of a million lines; the next commands remember it."""
    path = bench.folder / "checked.jsonl"
    write(path, MOST)
    told = subprocess.check_output([sys.executable, HERE / "check.py", path])
    ours, bare = map(float, told.split())
    yield Figure(
        "check of 1,000,000 lines beside parsing each",
        f"{1e6 * ours / MOST:.1f} us a line, {1e6 * bare / MOST:.1f} us: {ours / bare:.1f} times",
        "at most 3.0 times",
        ours / bare <= 3,
    )


def resumed(bench: Bench) -> Iterator[Figure]:
    """The resume of 100,000 finished samples whose dataset has been checked before.

    CPU is a slope from 10,000 samples, so that the start of the process is no part of it.
    """
    ours, bare = [], []
    for count in (FEW, MANY):
        path, run = bench.folder / f"resumed-{count}.jsonl", bench.folder / f"resumed-{count}"
        write(path, 1)
        command(path, run)
        write(path, count)
        aged(path)
        finish(path, run)
        command(path, run)  # the last command has to have completed the run
        ours.append(min(command(path, run).cpu_s for _ in range(3)))
        files = (path, run / "run_results.jsonl")
        bare.append(float(subprocess.check_output([sys.executable, HERE / "parse.py", *files])))
    more, least = ours[1] - ours[0], bare[1] - bare[0]
    yield Figure(
        "resume of 100,000 finished samples beside parsing the files",
        f"{1e6 * more / (MANY - FEW):.1f} us a sample, {1e6 * least / (MANY - FEW):.1f} us: "
        f"{more / least:.1f} times",
        "at most 3.0 times",
        more / least <= 3,
    )
