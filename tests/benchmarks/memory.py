"""Memory by the sample: an edited prompt, and the resume of what is finished.

The simulated backend answers at once, so that no server's memory or time plays a part.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import orjson

from measure import BIN, Figure, cost

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from measure import Bench, Cost


FEW, MANY, MOST = 10_000, 100_000, 1_000_000


def edited(bench: Bench) -> Iterator[Figure]:
    """The same 100,000 samples before and after their system prompt was edited."""
    path, run = bench.folder / "edited.jsonl", bench.folder / "edited"
    peaks = []
    for prompt in ("Be brief.", "Be very brief."):
        write(path, MANY, prompt)
        peaks.append(command(path, run).peak_mb)
    more = peaks[1] - peaks[0]
    yield Figure(
        "peak memory of an edited prompt, 100,000 samples",
        f"{peaks[1]:.0f} MB, {more:+.1f} MB over the first run",
        "at most +10 MB",
        more <= 10,
    )


def finished(bench: Bench) -> Iterator[Figure]:
    """The resume of a million finished samples beside that of ten thousand."""
    peaks = []
    for count in (FEW, MOST):
        path, run = bench.folder / "finished.jsonl", bench.folder / f"finished-{count}"
        write(path, 1)
        command(path, run)
        write(path, count)
        finish(path, run)
        peaks.append(command(path, run).peak_mb)
        summary = json.loads((run / "run_metadata.json").read_text())["summary"]
        if (summary["requests"], summary["resumed"]) != (0, count):
            raise RuntimeError(f"this was no resume: {summary}")
    by_the_sample = (peaks[1] - peaks[0]) * 2**20 / (MOST - FEW)
    yield Figure(
        "resume of 1,000,000 finished samples",
        f"{peaks[1]:.0f} MB, {by_the_sample:.0f} bytes a sample",
        "at most 40 bytes a sample",
        by_the_sample <= 40,
    )


def write(path: Path, count: int, prompt: str = "") -> None:
    """Makes a dataset."""
    system = [{"role": "system", "content": prompt}] if prompt else []
    with path.open("wb") as file:
        for number in range(count):
            user = {"role": "user", "content": f"question {number} " + "word " * 30}
            file.write(orjson.dumps({"id": f"s{number}", "messages": [*system, user]}) + b"\n")


def finish(path: Path, run: Path) -> None:
    """Gives a run of one sample the results of all."""
    from lm_eval_so import RunConfig  # noqa: PLC0415 - what is measured runs elsewhere
    from lm_eval_so.runner.request.key import RequestKeys  # noqa: PLC0415 - as above

    keys = RequestKeys(RunConfig(backend="simulated", model="m"), "simulated")
    results = run / "run_results.jsonl"
    result = orjson.loads(results.read_bytes())
    with path.open("rb") as samples, results.open("wb") as file:
        for number, line in enumerate(samples):
            sample = orjson.loads(line)
            result["sample_id"], result["request_messages"] = sample["id"], sample["messages"]
            result["request_key"] = keys.key(sample["messages"])
            result["latency_ms"] = 1.0 + number % 1000
            file.write(orjson.dumps(result) + b"\n")


def command(path: Path, run: Path, *overrides: str) -> Cost:
    """One run by the command line, with the default config but for the ``overrides``."""
    return cost(
        *(BIN / "lm-eval-so", "backend=simulated", "model=m", "backend.options.latency_ms=0"),
        *("dataset=path", f"dataset.path={path}", f"output_dir={run}"),
        *(f"output_root={path.parent}", *overrides),
    )[0]
