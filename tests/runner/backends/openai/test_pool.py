"""Pools and named endpoints, from the command line against real servers."""

from __future__ import annotations

import os
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING

import orjson
import pytest

from conftest import program
from support.fake_openai import FakeOpenAI, Received, Reply, echo
from support.patience import wait_for
from support.pools import ENV, OPTION, arguments, lines, metadata, pooled
from support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def servers() -> Iterator[list[FakeOpenAI]]:
    with ExitStack() as stack:
        yield [stack.enter_context(FakeOpenAI()) for _ in range(3)]


def test_each_result_and_the_summary_tell_who_answered(
    command: Command, make_dataset: Callable[..., Path], tmp_path: Path, servers: list[FakeOpenAI]
) -> None:
    done = command(*arguments(make_dataset(90), pooled(*servers)), env=ENV)
    assert done.returncode == 0, done.stderr
    sent = {server.base_url: len(server.requests) for server in servers}
    assert sum(sent.values()) == 90
    assert min(sent.values()) > 0
    told = [line["response"]["served_by"] for line in lines(tmp_path)]
    assert {name: told.count(name) for name in sent} == sent
    summary = metadata(tmp_path)["summary"]["by_replica"]
    assert {name: found["n"] for name, found in summary.items()} == sent
    assert {found["ok"] for found in summary.values()} == set(sent.values())
    row = " ".join(done.stdout[done.stdout.index("\nservers ") :].split())
    assert f" 127.0.0.1:{servers[0].port} {sent[servers[0].base_url]} (p50 " in row


def test_without_a_pool_nothing_tells_who_answered(
    command: Command, make_dataset: Callable[..., Path], tmp_path: Path, server: FakeOpenAI
) -> None:
    done = command(*arguments(make_dataset(1), pooled(server)), env=ENV)
    assert done.returncode == 0, done.stderr
    assert "served_by" not in lines(tmp_path)[0]["response"]
    assert "by_replica" not in metadata(tmp_path)["summary"]
    assert "servers" not in done.stdout


def test_a_failed_sample_tells_who_failed_it(
    command: Command, make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    def behave(received: Received, _: int) -> Reply:
        if received.question == "question 3":
            return Reply(status=400)
        return Reply(hang=received.question == "question 4")

    with FakeOpenAI(behave) as one, FakeOpenAI(behave) as other:
        options = ["runner.timeout=3", "runner.max_retries=1"]
        done = command(*arguments(make_dataset(6), pooled(one, other), *options), env=ENV)
        assert done.returncode == 1, done.stderr
        names = {one.base_url, other.base_url}
    refused, late = lines(tmp_path)[3], lines(tmp_path)[4]
    assert (refused["error"]["served_by"] in names, late["status"]) == (True, "timeout")
    assert late["error"]["served_by"] in names
    assert {attempt["served_by"] for attempt in late["attempt_log"]} <= names
    found = metadata(tmp_path)["summary"]["by_replica"]
    assert sum(replica["failed"] for replica in found.values()) == 2


def test_one_that_is_killed_and_started_again_costs_no_sample(
    make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    latency = 0.03

    def behave(_: Received, __: int) -> Reply:
        return Reply(latency=latency)

    port = free_port()
    with FakeOpenAI(behave) as one, FakeOpenAI(behave) as two:
        mortal = FakeOpenAI(behave, port=port)
        mortal.__enter__()
        words = arguments(make_dataset(1500), pooled(one, two, mortal), "runner.max_retries=2")
        process = subprocess.Popen(
            [*program(), *words, "runner.max_concurrency=24"],
            env={**os.environ, **ENV},
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_for(lambda: len(mortal.requests) > 50)
        latency = 0.3  # so that something is left when it is back
        mortal.__exit__(None, None, None)
        sent = len(one.requests) + len(two.requests)
        wait_for(lambda: len(one.requests) + len(two.requests) > sent + 100)
        with FakeOpenAI(behave, port=port) as again:
            wait_for(lambda: len(again.requests) > 50 or process.poll() is not None)
            latency = 0.03
            said = process.communicate(timeout=100)[1]
    assert process.returncode == 0, said
    assert len(again.requests) > 50
    assert [line["status"] for line in lines(tmp_path)] == ["ok"] * 1500
    assert f":{port}/v1 takes no requests for now" in said
    assert f":{port}/v1 is back after" in said
    assert "the server is away" not in said


def test_a_server_that_is_away_costs_no_attempt(
    command: Command, make_dataset: Callable[..., Path], tmp_path: Path, server: FakeOpenAI
) -> None:
    away = f"http://127.0.0.1:{free_port()}/v1"
    given = f"{OPTION}.base_url=[{away},{server.base_url}]"
    done = command(*arguments(make_dataset(40), given, "runner.max_retries=0"), env=ENV)
    assert done.returncode == 0, done.stderr
    assert {line["attempts"] for line in lines(tmp_path)} == {1}
    assert metadata(tmp_path)["summary"]["requests"] == 40


def test_where_all_are_away_the_run_waits_and_says_which(
    command: Command, make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    away = [f"http://127.0.0.1:{free_port()}/v1" for _ in range(2)]
    given = [f"{OPTION}.base_url=[{','.join(away)}]", "runner.breaker.wait=0.5"]
    done = command(*arguments(make_dataset(20), *given), env=ENV)
    assert done.returncode == 2, done.stderr
    assert "none of the 2 servers takes connections" in done.stderr
    assert f"no server takes connections at {away[0]}, {away[1]}; start it" in done.stderr
    assert metadata(tmp_path)["summary"]["status_counts"] == {"owed": 20}


@pytest.mark.parametrize("count", [1, 2], ids=["single", "pool"])
def test_with_a_name_the_addresses_may_change_and_nothing_is_asked_again(
    command: Command, make_dataset: Callable[..., Path], tmp_path: Path, count: int
) -> None:
    dataset, name = make_dataset(30), f"{OPTION}.endpoint_name=h100"
    for _ in range(2):
        with ExitStack() as stack:
            fresh = [stack.enter_context(FakeOpenAI()) for _ in range(count)]
            done = command(*arguments(dataset, pooled(*fresh), name), env=ENV)
            assert done.returncode == 0, done.stderr
            asked = sum(len(server.requests) for server in fresh)
    assert asked == 0
    assert metadata(tmp_path)["identity"]["endpoint"] == "h100"
    assert len({line["request_key"] for line in lines(tmp_path)}) == 30


def test_several_keys_are_used_side_by_side_and_a_spent_one_is_passed_over(
    command: Command, make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    keys = {
        "KEY_1": "sk-one-0123456789",
        "KEY_2": "sk-two-0123456789",
        "KEY_3": "sk-three-01234567",
    }

    def behave(received: Received, _: int) -> Reply:
        if keys["KEY_3"] in received.headers["Authorization"]:
            return Reply(status=429, text="You exceeded your current quota: insufficient_quota")
        return Reply(latency=0.01)

    with FakeOpenAI(behave) as server:
        given = [f"{OPTION}.api_key_env=[{','.join(keys)}]"]
        env = {**keys, "OPENAI_BASE_URL": server.base_url}
        done = command(*arguments(make_dataset(60), *given), env=env)
    assert done.returncode == 0, done.stderr
    used = [received.headers["Authorization"].split()[1] for received in server.requests]
    assert set(used) == set(keys.values())
    assert used.count(keys["KEY_3"]) < 20
    told = {line["response"]["served_by"] for line in lines(tmp_path)}
    assert told == {f"{server.base_url} (KEY_1)", f"{server.base_url} (KEY_2)"}
    assert metadata(tmp_path)["identity"]["endpoint"] == server.base_url
    everything = b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*.json*"))
    assert not [key for key in keys.values() if key.encode() in everything]


def test_limits_count_for_each_key(
    command: Command, make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    """Each key tells 6,000 a minute: the run learns 12,000, and does not stop at one key's."""

    def behave(_: Received, __: int) -> Reply:
        return Reply(
            headers={
                "x-ratelimit-limit-requests": "6000",
                "x-ratelimit-remaining-requests": "5000",
            }
        )

    with FakeOpenAI(behave) as server:
        given = [f"{OPTION}.api_key_env=[KEY_1,KEY_2]", f"{OPTION}.base_url={server.base_url}"]
        env = {"KEY_1": "sk-one-0123456789", "KEY_2": "sk-two-0123456789"}
        done = command(*arguments(make_dataset(60), *given), env=env)
    assert done.returncode == 0, done.stderr
    learned = metadata(tmp_path)["limits_per_minute"]["requests"]
    assert learned == pytest.approx(12_000, rel=0.02)


def test_the_same_system_text_goes_to_the_same_server(
    command: Command, tmp_path: Path, servers: list[FakeOpenAI]
) -> None:
    samples = [
        {
            "id": f"{topic}-{n}",
            "messages": [
                {"role": "system", "content": f"You know all about topic {topic}."},
                {"role": "user", "content": f"question {n}"},
            ],
        }
        for n in range(5)
        for topic in range(12)
    ]
    dataset = tmp_path / "topics.jsonl"
    dataset.write_bytes(b"\n".join(map(orjson.dumps, samples)))
    given = [pooled(*servers), f"{OPTION}.affinity=prefix", "runner.max_concurrency=1"]
    done = command(*arguments(dataset, *given), env=ENV)
    assert done.returncode == 0, done.stderr
    went: dict[str, set[str]] = {}
    for line in lines(tmp_path):
        topic = line["sample_id"].partition("-")[0]
        went.setdefault(topic, set()).add(line["response"]["served_by"])
    assert [len(found) for found in went.values()] == [1] * 12
    assert len(set.union(*went.values())) > 1


def test_streams_come_from_a_pool_too(
    command: Command, make_dataset: Callable[..., Path], tmp_path: Path, servers: list[FakeOpenAI]
) -> None:
    servers[0].behave = lambda _received, _nth: Reply(status=503)
    done = command(*arguments(make_dataset(30), pooled(*servers), "params.stream=true"), env=ENV)
    assert done.returncode == 0, done.stderr
    found = lines(tmp_path)
    assert [line["response"]["text"] for line in found] == [
        echo(f"question {n}") for n in range(30)
    ]
    assert servers[0].base_url not in {line["response"]["served_by"] for line in found}
    assert {line["attempts"] for line in found} == {1}
