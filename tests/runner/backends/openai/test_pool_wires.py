"""Pools on both wires, against real servers: whom a question reaches, and what is told of it."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from conftest import rows
from lm_eval_so.runner.backends.openai.backend import OpenAIBackend
from lm_eval_so.runner.errors import NotFoundError
from lm_eval_so.runner.models import RunConfig
from support.fake_openai import FakeOpenAI, Reply, echo
from support.fake_wires import FakeResponses

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Command = Callable[..., subprocess.CompletedProcess[str]]

OPTION = "backend.options"
KEYS = {"KEY_A": "sk-a-0123456789", "KEY_B": "sk-b-0123456789"}
RESPONSES = ("backend=openai", "model=m", f"{OPTION}.wire=responses", "dataset=path")


def pooled(*servers: FakeOpenAI) -> str:
    return f"{OPTION}.base_url=[{','.join(server.base_url for server in servers)}]"


@pytest.fixture
def responses() -> Iterator[list[FakeOpenAI]]:
    with ExitStack() as stack:
        yield [stack.enter_context(FakeResponses()) for _ in range(2)]


@pytest.mark.parametrize("stream", ["true", "false"])
def test_responses_are_spread_and_each_server_gets_its_own_key(
    command: Command,
    make_dataset: Callable[..., Path],
    tmp_path: Path,
    responses: list[FakeOpenAI],
    stream: str,
) -> None:
    keys = [f"{OPTION}.api_key_env=[KEY_A,KEY_B]", f"{OPTION}.api_key_header=api-key"]
    given = [f"dataset.path={make_dataset(40)}", "output_dir=run", f"params.stream={stream}"]
    done = command(*RESPONSES, pooled(*responses), *keys, *given, env=KEYS)
    assert done.returncode == 0, done.stderr
    for server, key in zip(responses, KEYS.values(), strict=True):
        assert {received.headers.get("api-key") for received in server.requests} == {key}
        assert not any("Authorization" in received.headers for received in server.requests)
    lines = rows(tmp_path / "run" / "run_results.jsonl")
    assert [line["response"]["text"] for line in lines] == [
        echo(f"question {n}") for n in range(40)
    ]
    told = [line["response"]["served_by"] for line in lines]
    names = [f"{s.base_url} ({k})" for s, k in zip(responses, KEYS, strict=True)]
    assert [told.count(name) for name in names] == [len(server.requests) for server in responses]


@pytest.mark.parametrize("stream", ["true", "false"])
def test_who_has_no_room_is_passed_over_on_responses_too(
    command: Command,
    make_dataset: Callable[..., Path],
    tmp_path: Path,
    responses: list[FakeOpenAI],
    stream: str,
) -> None:
    full, free = responses
    full.behave = lambda _received, _nth: Reply(status=503, text="no room")
    given = [f"dataset.path={make_dataset(30)}", "output_dir=run", f"params.stream={stream}"]
    done = command(*RESPONSES, pooled(full, free), *given, env={"OPENAI_API_KEY": "sk-0123456789"})
    assert done.returncode == 0, done.stderr
    assert len(full.requests) > 0
    assert len(free.requests) == 30
    lines = rows(tmp_path / "run" / "run_results.jsonl")
    assert {line["response"]["served_by"] for line in lines} == {free.base_url}


def test_affinity_keeps_a_system_text_at_one_server_on_responses(
    command: Command, make_dataset: Callable[..., Path], responses: list[FakeOpenAI]
) -> None:
    given = [f"dataset.path={make_dataset(20)}", "output_dir=run", "runner.max_concurrency=1"]
    prompt = ["prompt=system", "prompt.system='be brief'", f"{OPTION}.affinity=prefix"]
    env = {"OPENAI_API_KEY": "sk-0123456789"}
    done = command(*RESPONSES, pooled(*responses), *given, *prompt, env=env)
    assert done.returncode == 0, done.stderr
    assert sorted(len(server.requests) for server in responses) == [0, 20]


def test_a_look_tells_which_server_answered(
    command: Command, make_dataset: Callable[..., Path], responses: list[FakeOpenAI]
) -> None:
    given = [f"dataset.path={make_dataset(3)}", "check=1"]
    env = {"OPENAI_API_KEY": "sk-0123456789"}
    done = command(*RESPONSES, pooled(*responses), *given, env=env)
    assert done.returncode == 0, done.stderr
    (asked,) = (server for server in responses if server.requests)
    assert f'served_by: "{asked.base_url}"' in done.stdout


def test_the_advice_on_a_model_is_of_the_server_that_has_it_not() -> None:
    with FakeOpenAI() as one, FakeOpenAI() as other:
        one.models, other.models = ["model-of-one"], ["model-of-the-other"]
        options: dict[str, Any] = {
            "base_url": [one.base_url, other.base_url],
            "api_key": "sk-0123456789",
        }
        config = RunConfig(backend="openai", model="model-x", backend_options=options)

        async def advice(served_by: str) -> str:
            error = NotFoundError("no such model", status_code=404)
            error.served_by = served_by
            async with OpenAIBackend(config, {}) as backend:
                return await backend.remedy(error)

        for server in (one, other):
            told = asyncio.run(advice(server.base_url))
            has = server.models[0]
            assert told == f"{server.base_url} has no model 'model-x'; it has {has}"
