"""The seam: a backend for another API, end to end, with nothing of its own but the API."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from conftest import rows
from lm_eval_so import RunConfig, RunnerOptions, TestSample, run
from lm_eval_so.runner.errors import (
    APIConnectionError,
    BackendError,
    EndpointUnreachableError,
    InternalServerError,
    InvalidResponseError,
    NotFoundError,
    RateLimitError,
    RedirectError,
)
from support.ask_bot import TOKEN, AskBackend, AskBot
from support.ports import free_port
from support.requests import request_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lm_eval_so import ChatResponse

OPTIONS = RunnerOptions(max_retries=1, backoff_initial=0)


@pytest.fixture
def bot() -> Iterator[AskBot]:
    with AskBot() as running:
        yield running


def config(base_url: str) -> RunConfig:
    return RunConfig(backend="ask", model="bot", backend_options={"base_url": base_url})


def ask(base_url: str, question: str) -> ChatResponse:
    asked = config(base_url)
    sample = TestSample(id="s0", messages=[{"role": "user", "content": question}])

    async def main() -> ChatResponse:
        async with AskBackend(asked) as backend:
            return await backend.send(request_of(sample, 0, asked, "key", "trace"))

    return asyncio.run(main())


def failure(base_url: str, question: str) -> BackendError:
    with pytest.raises(BackendError) as raised:
        ask(base_url, question)
    return raised.value


def test_a_run_has_an_answer_or_the_right_error_for_each_sample(
    bot: AskBot, make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    # Each between two that are answered: several on end might be those of a server that is away.
    odd = ("busy", "broken", "page", "number", "cut", "torn")
    asked = {f"s{2 * n + 1}": question for n, question in enumerate(odd)}
    backend = AskBackend(config(bot.base_url))
    report = run(
        make_dataset(13, **asked),
        backend.config,
        backend=backend,
        options=OPTIONS.model_copy(update={"max_concurrency": 1}),
        output_dir="run",
    )
    assert report.exit_code == 1
    results = {row["sample_id"]: row for row in rows(tmp_path / "run" / "run_results.jsonl")}
    assert results["s0"]["response"]["text"] == "heard question 0"
    assert results["s0"]["response"]["request_id"] == "r-1"
    assert results["s1"]["response"]["text"] == "heard busy"
    assert (results["s1"]["attempts"], bot.asked["busy"]) == (2, 2)
    errors = {name: row["error"]["error_type"] for name, row in results.items() if row["error"]}
    assert errors == {
        "s3": "InternalServerError",
        "s5": "InvalidResponseError",
        "s7": "InvalidResponseError",
        "s9": "APIConnectionError",
        "s11": "InvalidResponseError",
    }
    assert TOKEN not in (tmp_path / "run" / "run_metadata.json").read_text()


def test_what_is_sent_is_json_with_the_headers_of_the_connection(bot: AskBot) -> None:
    assert ask(f"{bot.base_url}/?v=1", "hi").text == "heard hi"
    ((path, headers),) = bot.heard
    assert path == "/bot/ask?v=1"
    assert headers["Content-Type"] == "application/json"
    assert headers["Authorization"] == f"Token {TOKEN}"


def test_a_bot_that_does_not_answer_is_a_timeout(
    bot: AskBot, make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    backend = AskBackend(config(bot.base_url))
    options = OPTIONS.model_copy(update={"timeout": 0.2})
    run(
        make_dataset(1, s0="hang"),
        backend.config,
        backend=backend,
        options=options,
        output_dir="run",
    )
    (row,) = rows(tmp_path / "run" / "run_results.jsonl")
    assert (row["status"], row["error"]["error_type"]) == ("timeout", "APITimeoutError")


@pytest.mark.parametrize(
    ("question", "kind", "message"),
    [
        ("busy", RateLimitError, "slow down"),
        ("broken", InternalServerError, "out of order"),
        ("page", InvalidResponseError, "the answer cannot be read: a web page: Sign in"),
        ("page-404", NotFoundError, "Not here"),
        ("words", RateLimitError, "too fast"),
        ("number", InvalidResponseError, "the answer holds no text"),
        ("cut", APIConnectionError, "ClientPayloadError"),
        ("torn", InvalidResponseError, "the answer cannot be read: no JSON (Unterminated"),
        ("moved", RedirectError, "the server redirects (302) to 'https://elsewhere.example/ask'"),
    ],
)
def test_what_comes_instead_of_an_answer_is_told(
    question: str, kind: type[BackendError], message: str, bot: AskBot
) -> None:
    found = failure(bot.base_url, question)
    assert type(found) is kind
    assert found.message.startswith(message)
    assert found.retryable is kind.default_retryable


def test_the_wait_that_the_bot_asks_for_is_read(bot: AskBot) -> None:
    assert failure(bot.base_url, "busy").retry_after == 0.2


def test_a_bot_that_is_away_is_told_as_such() -> None:
    away = f"http://127.0.0.1:{free_port()}"
    assert isinstance(failure(away, "hi"), EndpointUnreachableError)


def test_what_backends_share_loads_none_of_them() -> None:
    code = """
import sys
from importlib import import_module
from pkgutil import iter_modules
from lm_eval_so.runner.backends import http
shared = [import_module(f"{http.__name__}.{module.name}") for module in iter_modules(http.__path__)]
assert len(shared) > 10
print([name for name in sys.modules if "openai" in name])
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
