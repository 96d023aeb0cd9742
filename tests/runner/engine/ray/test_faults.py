"""Whatever dies or stands still: each sample has its line, and no answer is paid for twice."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conftest import descendants, rows
from lm_eval_so.runner.engine.sync import workers_for
from support.fake_openai import FakeOpenAI, Reply
from support.patience import wait_for
from support.ray_cluster import command_line, end

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

    from support.ray_cluster import Cluster, Driver

COUNT = 4000
AT_ONCE = 32
RESULTS = Path("run/run_results.jsonl")


@pytest.fixture
def server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(lambda _received, _nth: Reply(latency=0.1)) as fake:
        yield fake


@pytest.fixture
def target(target: list[str], make_dataset: Callable[..., Path]) -> list[str]:
    return [*target, f"dataset.path={make_dataset(COUNT)}"]


@pytest.fixture
def third_node(cluster: Cluster) -> Iterator[subprocess.Popen[bytes]]:
    node = cluster.add_node()
    yield node
    end(node)


def asked_again(server: FakeOpenAI) -> int:
    times = Counter(received.question for received in server.requests)
    return sum(times.values()) - len(times)


def assert_whole() -> None:
    found = rows(RESULTS)
    assert [row["sample_id"] for row in found] == [f"s{n}" for n in range(COUNT)]
    assert {row["status"] for row in found} == {"ok"}
    assert not list(Path("run").glob("parts/*"))


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def raylet_of(node: subprocess.Popen[bytes]) -> int:
    (found,) = (pid for pid in descendants(node.pid) if "/raylet/raylet " in command_line(pid))
    return found


def test_workers_and_a_node_are_killed(
    cluster: Cluster,
    third_node: subprocess.Popen[bytes],
    on_cluster: Callable[..., Driver],
    server: FakeOpenAI,
) -> None:
    """Each kill costs at most what was in flight."""
    server.behave = lambda _received, _nth: Reply(latency=3)
    with on_cluster(server, "engine.workers=3") as driver:
        wait_for(lambda: len(cluster.workers()) == 3)
        server.behave = lambda _received, _nth: Reply(latency=0.1)
        driver.until_asked(server, 400)
        kill(cluster.workers(third_node)[0])
        driver.until_asked(server, 900)
        first_again = asked_again(server)
        kill(cluster.workers(cluster.nodes[0])[0])
        driver.until_asked(server, 1500)
        kill(raylet_of(third_node))
        assert driver.wait() == 0, driver.said
        assert driver.said.count("a worker has died") >= 2
    assert_whole()
    assert first_again <= AT_ONCE
    assert asked_again(server) <= 3 * AT_ONCE


def test_a_worker_stands_still_for_longer_than_it_may(
    cluster: Cluster, on_cluster: Callable[..., Driver], server: FakeOpenAI
) -> None:
    with on_cluster(server, "engine.worker_timeout=5") as driver:
        driver.until_asked(server, 400)
        wait_for(lambda: len(cluster.workers()) == 2)
        still = cluster.workers()[0]
        os.kill(still, signal.SIGSTOP)
        time.sleep(8)
        os.kill(still, signal.SIGCONT)
        assert driver.wait() == 0, driver.said
    assert_whole()
    # What waits for a slot when the worker goes on leaves before it learns that it is another's.
    assert asked_again(server) <= workers_for(AT_ONCE)


def test_a_driver_stands_still_for_longer_than_workers_wait(
    on_cluster: Callable[..., Driver], server: FakeOpenAI
) -> None:
    server.behave = lambda _received, _nth: Reply(latency=0.3)
    with on_cluster(server, "engine.worker_timeout=5") as driver:
        driver.until_asked(server, 200)
        driver.process.send_signal(signal.SIGSTOP)
        wait_for(lambda: not server.in_flight and time.time() - server.requests[-1].at > 3)
        assert len(server.requests) < COUNT
        driver.process.send_signal(signal.SIGCONT)
        server.behave = lambda _received, _nth: Reply(latency=0.02)
        assert driver.wait() == 0, driver.said
    assert_whole()
    assert asked_again(server) == 0
