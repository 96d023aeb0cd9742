"""A limit of the run is kept by all workers together, and used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conftest import starts
from support.fake_openai import FakeOpenAI, Reply

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.ray_cluster import Driver

COUNT = 3600
RATE = 300
BURST = 15
"""Requests that a server lets through at once. A machine that is busy sends late ones together."""


@pytest.fixture
def target(target: list[str], make_dataset: Callable[..., Path]) -> list[str]:
    dataset = make_dataset(COUNT)
    return [*target, f"dataset.path={dataset}", "runner.max_concurrency=64"]


def refused(times: list[float]) -> int:
    """How many come faster than the limit, for a server that takes each when it is sent."""
    tokens, before, found = float(BURST), times[0], 0
    for at in times:
        tokens, before = min(BURST, tokens + (at - before) * RATE), at
        if tokens < 1:
            found += 1
        else:
            tokens -= 1
    return found


def test_two_workers_keep_one_rate_limit(on_cluster: Callable[..., Driver], tmp_path: Path) -> None:
    with (
        FakeOpenAI(lambda _received, _nth: Reply(latency=0.02)) as server,
        on_cluster(server, f"runner.rate_limit={RATE}") as driver,
    ):
        assert driver.wait() == 0, driver.said
    sent = starts(tmp_path / "run" / "run_results.jsonl")
    assert len(server.requests) == len(sent) == COUNT
    arrived = (received.at for received in server.requests)
    assert all(left <= came for left, came in zip(sent, arrived, strict=True))
    assert refused(sent) <= COUNT // 100
    assert sent[-1] - sent[0] >= (COUNT - 1 - BURST) / RATE
