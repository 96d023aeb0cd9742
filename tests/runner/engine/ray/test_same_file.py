"""What workers leave is what one process leaves, and each goes on where the other stopped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conftest import rows
from support.fake_openai import FakeOpenAI, Reply
from support.patience import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.ray_cluster import Cluster, Driver

COUNT = 2000
AT_ONCE = 32
RESULTS = Path("run/run_results.jsonl")
OF_THE_MOMENT = {"trace_id", "latency_ms", "started_at", "completed_at"}


@pytest.fixture
def server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(lambda _received, _nth: Reply(latency=0.02)) as fake:
        yield fake


def kept(path: Path) -> list[dict[str, Any]]:
    """The lines, but for times and ids."""
    found = [
        {name: value for name, value in row.items() if name not in OF_THE_MOMENT}
        for row in rows(path)
    ]
    for row in found:
        row["response"].pop("request_id")
    return found


def test_two_nodes_leave_the_lines_that_one_process_leaves(
    on_cluster: Callable[..., Driver], alone: Callable[..., Driver], server: FakeOpenAI
) -> None:
    with on_cluster(server) as driver:
        assert driver.wait() == 0, driver.said
        assert "[ray" not in driver.said
        assert "raylet" not in driver.said
        assert "Traceback" not in driver.said
    assert len(server.requests) == COUNT
    with alone(server, "output_dir=other", "store.shard_size=null") as driver:
        assert driver.wait() == 0, driver.said
    other = kept(Path("other/run_results.jsonl"))
    assert [row["sample_id"] for row in other] == [f"s{n}" for n in range(COUNT)]
    assert kept(RESULTS) == other
    assert not list(Path("run").glob("parts/*"))


@pytest.mark.parametrize("ray_first", [True, False], ids=["ray-then-sync", "sync-then-ray"])
def test_either_engine_goes_on_where_a_killed_run_of_the_other_stopped(
    cluster: Cluster,
    on_cluster: Callable[..., Driver],
    alone: Callable[..., Driver],
    server: FakeOpenAI,
    *,
    ray_first: bool,
) -> None:
    first, then = (on_cluster, alone) if ray_first else (alone, on_cluster)
    server.behave = lambda _r, _nth: Reply(latency=0.02 if len(server.requests) < 200 else 0.5)
    with first(server) as driver:
        driver.until_asked(server, 600)
        driver.process.kill()
        driver.wait()
    wait_for(lambda: not cluster.workers())
    asked = len(server.requests)
    assert asked < COUNT
    server.behave = lambda _received, _nth: Reply(latency=0.02)
    with then(server) as driver:
        assert driver.wait() == 0, driver.said
    assert [row["sample_id"] for row in rows(RESULTS)] == [f"s{n}" for n in range(COUNT)]
    assert len(server.requests) <= COUNT + AT_ONCE
