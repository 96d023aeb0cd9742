"""Which wire is spoken: Chat Completions, as ever, or Responses."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lm_eval_so.runner.backends.openai.backend import OpenAIBackend
from lm_eval_so.runner.config.identity import fingerprint, identity
from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.models import ChatResponse, RunConfig, TestSample
from lm_eval_so.runner.request.key import RequestKeys
from lm_eval_so.runner.strategy.rate_limit.tokens import TokenEstimate
from support.fake_wires import FakeResponses
from support.requests import request_of


def made(options: dict[str, Any] | None = None, **parameters: Any) -> OpenAIBackend:  # noqa: ANN401 - any
    given = {
        "api_key": "sk-012345678",
        "request_defaults": {"max_tokens": 5},
        "default_query": {"api-version": "1"},
        **(options or {}),
    }
    config = RunConfig(
        backend="openai", model="gpt-4o-mini", parameters=parameters, backend_options=given
    )
    return OpenAIBackend(config, {})


def keys(backend: OpenAIBackend) -> tuple[str, str, str]:
    question = RequestKeys(backend.config, backend.endpoint, backend.defaults)
    of_run = identity("d", backend.config, backend.endpoint, backend.identity_options)
    key = question.key([{"role": "user", "content": "q"}])
    return key, fingerprint(of_run), backend.limit_scope


AS_BEFORE = (
    "44d024ce3e86bb3e99e50e4372f1497f32f6f55b53d53fffc892d665aea01245",
    "7f7fc308985066456cb600668b418589fef5cd244e541c66628f481105d8a43c",
    "c9a2e27ee5548c73d00e11ada9054d954317389040794d29a5891322be275e6b",
)
"""Of a release that knew one wire."""


@pytest.mark.parametrize("options", [{}, {"wire": None}, {"wire": "chat"}], ids=str)
def test_a_run_without_a_wire_has_the_keys_that_it_always_had(options: dict[str, Any]) -> None:
    assert keys(made(options, temperature=0, stream=True)) == AS_BEFORE


def test_another_wire_is_another_question_under_the_same_limits() -> None:
    key, of_run, scope = keys(made({"wire": "responses"}, temperature=0, stream=True))
    assert key != AS_BEFORE[0]
    assert of_run != AS_BEFORE[1]
    assert scope == AS_BEFORE[2]


def test_the_path_stands_before_the_query() -> None:
    endpoint = made({"wire": "responses"}).endpoint
    assert endpoint == "https://api.openai.com/v1/responses?api-version=1"


@pytest.mark.parametrize("stream", [False, True])
def test_a_question_goes_to_its_path_and_its_answer_is_read(stream: bool) -> None:  # noqa: FBT001 - a parameter
    with FakeResponses() as server:
        backend = made({"wire": "responses", "base_url": server.base_url}, stream=stream)

        async def ask() -> ChatResponse:
            sample = TestSample(id="s0", messages=[{"role": "user", "content": "q"}])
            async with backend:
                return await backend.send(request_of(sample, 0, backend.config, "key", "trace"))

        answer = asyncio.run(ask())
    assert (answer.text, answer.finish_reason) == ("echo: q", "stop")
    assert (answer.time_to_first_token_ms is not None) is stream
    (received,) = server.requests
    assert received.path == "/v1/responses?api-version=1"
    assert received.body["max_output_tokens"] == 5
    assert received.headers["X-Client-Request-Id"] == "trace"


def test_the_repeats_of_a_seed_are_refused_where_there_is_none() -> None:
    with pytest.raises(ConfigError, match=r"wire=responses: the parameter seed=7 has no counterp"):
        made({"wire": "responses"}, seed=7)


@pytest.mark.parametrize("path", ["/chat/completions", "/responses"])
def test_an_address_ends_before_the_path_of_either_wire(path: str) -> None:
    with pytest.raises(ConfigError, match=f"base_url: must end before {path}"):
        made({"base_url": f"https://x.y/v1{path}"})


def test_an_unknown_wire_is_told_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match="wire"):
        made({"wire": "respones"})


def test_tags_that_only_chat_completions_has_are_told() -> None:
    with pytest.raises(ConfigError, match="think_tags has no effect with wire=responses"):
        made({"wire": "responses", "think_tags": True})


def test_max_output_tokens_is_the_first_estimate_of_an_answer() -> None:
    assert TokenEstimate({"max_output_tokens": 40}).parts(4) == (1.0, 40.0)
