"""A cluster that a run begins for itself: it is alone there, and nothing of it is left."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from conftest import descendants, rows
from support.fake_openai import FakeOpenAI, Reply
from support.patience import wait_for
from support.ray_cluster import WORKER, Driver, command_line

if TYPE_CHECKING:
    from collections.abc import Callable

COUNT = 2000
AT_ONCE = 32
SHOWN = ("ray", "Ray", "WARNING", "plasma", "dashboard")


def own(target: list[str], server: FakeOpenAI) -> Driver:
    return Driver([*target, "engine=ray", "engine.workers=2"], server.env)


def alive(pids: list[int]) -> list[str]:
    return [line for pid in pids if (line := command_line(pid))]


def test_it_shows_nothing_of_ray_and_leaves_no_process(
    target: list[str], server: FakeOpenAI
) -> None:
    server.behave = lambda _r, _nth: Reply(latency=0 if len(server.requests) < 100 else 3)
    with own(target, server) as driver:
        driver.until_asked(server, 100)
        begun = descendants(driver.process.pid)
        assert any(command_line(pid).startswith(WORKER) for pid in begun)
        server.behave = lambda _received, _nth: Reply()
        assert driver.wait() == 0, driver.said
        wait_for(lambda: not alive(begun))
        assert not [line for line in driver.said.splitlines() if any(w in line for w in SHOWN)]
    assert [row["sample_id"] for row in rows(Path("run/run_results.jsonl"))] == [
        f"s{n}" for n in range(COUNT)
    ]


def test_a_driver_that_is_killed_takes_its_workers_along(
    target: list[str], alone: Callable[..., Driver]
) -> None:
    """What they still had in flight is all that the next command may ask again."""
    with (
        FakeOpenAI(lambda _received, _nth: Reply(latency=0.5)) as server,
        own(target, server) as driver,
    ):
        driver.until_asked(server, 300)
        begun = descendants(driver.process.pid)
        driver.process.kill()
        driver.wait()
        server.behave = lambda _received, _nth: Reply(latency=0.1)
        with alone(server) as then:
            assert then.wait() == 0, then.said
        wait_for(lambda: not any(WORKER in line for line in alive(begun)))
        assert len(server.requests) <= COUNT + AT_ONCE
    assert len(rows(Path("run/run_results.jsonl"))) == COUNT
    assert not list(Path("run").glob("parts"))
