"""What a run promises, it keeps with a pool: against real servers."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from conftest import program
from support.fake_openai import FakeOpenAI, Reply
from support.patience import wait_for
from support.pools import ENV, OPTION, arguments, lines, metadata, pooled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def servers() -> Iterator[list[FakeOpenAI]]:
    with ExitStack() as stack:
        yield [stack.enter_context(FakeOpenAI()) for _ in range(3)]


def test_a_kill_and_a_resume_ask_nothing_twice_but_what_was_in_flight(
    make_dataset: Callable[..., Path], command: Command, tmp_path: Path, servers: list[FakeOpenAI]
) -> None:
    for server in servers:
        server.behave = lambda _received, _nth: Reply(latency=0.02)
    words = arguments(make_dataset(400), pooled(*servers), "runner.max_concurrency=9")
    process = subprocess.Popen(
        [*program(), *words],
        env={**os.environ, **ENV},
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: sum(len(server.requests) for server in servers) > 100)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = command(*words, env=ENV)
    assert done.returncode == 0, done.stderr
    assert len(lines(tmp_path)) == 400
    assert sum(len(server.requests) for server in servers) <= 400 + 9


def test_a_budget_in_requests_counts_those_that_were_passed_on(
    command: Command, make_dataset: Callable[..., Path], tmp_path: Path, servers: list[FakeOpenAI]
) -> None:
    servers[0].behave = lambda _received, _nth: Reply(status=503)
    given = ["runner.budget.requests=20", "runner.max_concurrency=1"]
    done = command(*arguments(make_dataset(60), pooled(*servers), *given), env=ENV)
    assert done.returncode == 2, done.stderr
    sent = sum(len(server.requests) for server in servers)
    assert sent in (20, 21), "the last question may be passed on"
    assert len(servers[0].requests) >= 1
    assert metadata(tmp_path)["summary"]["requests"] == sent


def test_a_configured_limit_holds_for_the_whole_pool(
    command: Command, make_dataset: Callable[..., Path], tmp_path: Path, servers: list[FakeOpenAI]
) -> None:
    done = command(*arguments(make_dataset(60), pooled(*servers), "runner.rate_limit=30"), env=ENV)
    assert done.returncode == 0, done.stderr
    assert all(server.requests for server in servers)
    at = sorted(datetime.fromisoformat(line["started_at"]) for line in lines(tmp_path))
    least = timedelta(seconds=29 / 30 - 0.2)
    assert all(after - before >= least for before, after in zip(at, at[30:], strict=False))


def test_a_wrong_key_everywhere_ends_the_run_and_names_the_variables(
    command: Command, make_dataset: Callable[..., Path]
) -> None:
    with FakeOpenAI(lambda _received, _nth: Reply(status=401, text="who are you?")) as server:
        given = [f"{OPTION}.api_key_env=[KEY_1,KEY_2]", f"{OPTION}.base_url={server.base_url}"]
        env = {"KEY_1": "sk-one-0123456789", "KEY_2": "sk-two-0123456789"}
        done = command(*arguments(make_dataset(300), *given), env=env)
    assert done.returncode == 2, done.stderr
    assert "check the key in the variable KEY_" in done.stderr
    assert len(server.requests) <= 100
