"""How a run on a cluster ends before its time, and what it refuses to begin."""

from __future__ import annotations

import json
import signal
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conftest import rows
from lm_eval_so import RunConfig, run
from lm_eval_so.runner.errors import ConfigError
from support.fake_openai import FakeOpenAI, Reply
from support.patience import wait_for
from support.ports import free_port
from support.ray_cluster import Driver

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path as Folder

    from support.ray_cluster import Cluster

COUNT = 2000
AT_ONCE = 32


def metadata() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path("run/run_metadata.json").read_text())
    return found


def assert_plain(said: str) -> None:
    """Nothing that only a developer of Ray or of ours could read."""
    assert "Traceback" not in said
    assert "(raylet" not in said
    assert "ray::" not in said
    assert "RayTaskError" not in said


@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])
def test_ctrl_c_keeps_what_was_received_and_the_same_command_goes_on(
    cluster: Cluster, on_cluster: Callable[..., Driver], server: FakeOpenAI, times: int
) -> None:
    held = 300 if times == 1 else 0
    server.behave = lambda _r, _nth: Reply(latency=0.2 if len(server.requests) < held else 3)
    with on_cluster(server) as driver:
        driver.until_asked(server, max(held, AT_ONCE))
        for _ in range(times):
            driver.process.send_signal(signal.SIGINT)
            wait_for(lambda: "nothing more is sent" in driver.said)
        assert driver.wait() == 130, driver.said
        assert_plain(driver.said)
    wait_for(lambda: not cluster.workers())
    assert metadata()["state"] == "partial"
    assert (metadata()["summary"] is None) is (times == 2), "there is no time for one"
    asked = len(server.requests)
    assert asked < COUNT
    server.behave = lambda _received, _nth: Reply()
    with on_cluster(server) as driver:
        assert driver.wait() == 0, driver.said
    again = len(server.requests) - COUNT
    assert again <= (0 if times == 1 else AT_ONCE)
    found = rows(Path("run/run_results.jsonl"))
    assert [row["sample_id"] for row in found] == [f"s{n}" for n in range(COUNT)]


def test_a_wrong_key_ends_it_after_few_requests(
    on_cluster: Callable[..., Driver], server: FakeOpenAI
) -> None:
    server.behave = lambda _received, _nth: Reply(status=401, text="Incorrect API key provided")
    with on_cluster(server) as driver:
        assert driver.wait() == 2, driver.said
        assert driver.said.count("Incorrect API key provided") == 1, driver.said
        assert_plain(driver.said)
    assert len(server.requests) <= 2 * AT_ONCE
    assert metadata()["state"] == "aborted"


def test_a_budget_in_requests_is_kept_and_used(
    on_cluster: Callable[..., Driver], server: FakeOpenAI
) -> None:
    with on_cluster(server, "runner.budget.requests=500") as driver:
        assert driver.wait() == 2, driver.said
        assert "budget" in driver.said
        assert_plain(driver.said)
    assert 490 <= len(server.requests) <= 500
    with on_cluster(server, "runner.budget.requests=900") as driver:
        assert driver.wait() == 2, driver.said
    assert 890 <= len(server.requests) <= 900


def test_a_server_that_is_away_and_comes_back_costs_no_sample(
    on_cluster: Callable[..., Driver],
) -> None:
    with ExitStack() as up:
        before = up.enter_context(FakeOpenAI())
        before.behave = lambda _r, _n: Reply(latency=0.05 if len(before.requests) < 300 else 3)
        with on_cluster(before) as driver:
            driver.until_asked(before, 300)
            up.close()
            time.sleep(2)
            assert driver.process.poll() is None, driver.said
            with FakeOpenAI(port=before.port):
                assert driver.wait() == 0, driver.said
                assert_plain(driver.said)
    found = rows(Path("run/run_results.jsonl"))
    assert [row["status"] for row in found] == ["ok"] * COUNT


def test_an_address_of_nobody_is_one_sentence(
    cluster: Cluster, target: list[str], server: FakeOpenAI
) -> None:
    arguments = [*target, "engine=ray", f"engine.address=127.0.0.1:{free_port()}"]
    with Driver(arguments, {**server.env, **cluster.env}) as driver:
        assert driver.wait() == 2
        assert_plain(driver.said)
        assert "nobody answers there" in driver.said
        assert driver.said.count("ERROR") == driver.said.count("engine.address=127.0.0.1:") - 1 == 1
    assert server.requests == []


def test_workers_and_address_are_of_a_cluster(
    alone: Callable[..., Driver], server: FakeOpenAI
) -> None:
    for given in ("engine.workers=2", "engine.address=auto"):
        with alone(server, given) as driver:
            assert driver.wait() == 2
            assert f"the chosen engine has no '{given.partition('=')[0]}'" in driver.said
            assert_plain(driver.said)
    assert server.requests == []


def test_a_dataset_that_cannot_be_used_is_told_of_before_a_cluster_is_looked_for(
    on_cluster: Callable[..., Driver], server: FakeOpenAI, tmp_path: Folder
) -> None:
    (tmp_path / "wrong.jsonl").write_text('{"id": "a", "messages": 3}\n')
    with on_cluster(server, "dataset.path=wrong.jsonl") as driver:
        assert driver.wait() == 2
        assert "wrong.jsonl:1" in driver.said
        assert_plain(driver.said)
    assert server.requests == []
    assert not Path("run").exists()


def test_a_backend_of_this_process_cannot_be_sent_to_workers(
    make_dataset: Callable[..., Folder],
) -> None:
    async def send(_: object) -> None:
        raise AssertionError

    with pytest.raises(ConfigError, match=r"engine='ray'.*backend"):
        run(make_dataset(2), RunConfig(backend="mine", model="m"), backend=send, engine="ray")
