"""A limit of the run is kept by all workers together, and used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.fake_openai import FakeOpenAI, Received, Reply

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


class Bucket:
    """Refuses what comes faster than the limit."""

    def __init__(self) -> None:
        self._tokens, self._at = float(BURST), 0.0
        self.refused = 0

    def answer(self, received: Received, _nth: int) -> Reply:
        self._tokens = min(BURST, self._tokens + (received.at - self._at) * RATE)
        self._at = received.at
        if self._tokens < 1:
            self.refused += 1
            return Reply(status=429)
        self._tokens -= 1
        return Reply(latency=0.02)


def test_two_workers_keep_one_rate_limit(on_cluster: Callable[..., Driver]) -> None:
    bucket = Bucket()
    with FakeOpenAI(bucket.answer) as server:
        with on_cluster(server, f"runner.rate_limit={RATE}") as driver:
            assert driver.wait() == 0, driver.said
        took = server.requests[-1].at - server.requests[0].at
    assert bucket.refused <= COUNT // 100
    assert len(server.requests) == COUNT + bucket.refused
    assert took >= (COUNT - 1 - BURST) / RATE
