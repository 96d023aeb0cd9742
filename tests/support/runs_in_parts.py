"""Runs whose results are in parts, against a real server."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from typing import TYPE_CHECKING, Any

import orjson

from conftest import program, rows
from support.patience import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from support.fake_openai import FakeOpenAI

Done = subprocess.CompletedProcess[str]
SAMPLES = 40
OPENAI = ["backend=openai", "model=m", "dataset=path"]
IN_PARTS = ["store.parts_above=0", "store.shard_size=7"]
CHANGES = {"trace_id", "started_at", "completed_at", "latency_ms"}


def lines(directory: Path) -> list[dict[str, Any]]:
    """The results, without what differs from run to run."""
    found = rows(directory / "run_results.jsonl")
    for line in found:
        for name in CHANGES:
            line.pop(name)
        for part in ("request_id", "raw"):
            (line["response"] or {}).pop(part, None)
    return found


def ids(directory: Path) -> list[str]:
    return [line["sample_id"] for line in rows(directory / "run_results.jsonl")]


def summary(directory: Path) -> dict[str, Any]:
    found = orjson.loads((directory / "run_metadata.json").read_bytes())["summary"]
    assert isinstance(found, dict)
    return found


def times_asked(server: FakeOpenAI) -> set[int]:
    return set(Counter(received.question for received in server.requests).values())


def killed_after(answers: int, server: FakeOpenAI, overrides: list[str], cwd: Path) -> None:
    process = subprocess.Popen(
        [*program(), *OPENAI, *overrides],
        env={**os.environ, **server.env},
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: len(server.requests) >= answers or process.poll() is not None)
    process.kill()
    process.wait()
