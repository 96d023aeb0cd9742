from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest

from lm_eval_so.runner.backends.openai.backend import OpenAIBackend
from lm_eval_so.runner.errors import (
    BackendError,
    BackendSetupError,
    ConfigError,
    InternalServerError,
    MethodNotAllowedError,
    ProxyAuthenticationError,
)
from lm_eval_so.runner.models import ChatResponse, RunConfig, TestSample
from support.fake_openai import FakeOpenAI, Received, Reply
from support.requests import request_of

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY = "sk-fake-0123456789"
QUESTION = [{"role": "user", "content": "question"}]


def backend(
    address: str, parameters: Mapping[str, Any] | None = None, **options: object
) -> OpenAIBackend:
    given = {"base_url": address, "api_key": KEY, **options}
    return OpenAIBackend(
        RunConfig(
            backend="openai",
            model="org/name:v1",
            parameters=dict(parameters or {}),
            backend_options={name: value for name, value in given.items() if value is not None},
        )
    )


def ask(
    asked: OpenAIBackend,
    messages: list[dict[str, Any]] | None = None,
    trace_id: str = "lm-eval-so-s0-0123abcd",
    times: int = 1,
) -> list[ChatResponse]:
    sample = TestSample.model_validate({"id": "s0", "messages": messages or QUESTION})
    request = request_of(sample, 0, asked.config, "key", trace_id)

    async def main() -> list[ChatResponse]:
        async with asked:
            return await asyncio.gather(*[asked.send(request) for _ in range(times)])

    return asyncio.run(main())


def received(server: FakeOpenAI) -> Received:
    (only,) = server.requests
    return only


def headers(server: FakeOpenAI) -> dict[str, str]:
    """The headers of the one request, by their names in lower case."""
    return {name.lower(): value for name, value in received(server).headers.items()}


PARAMETERS = {
    "temperature": 0.0,
    "top_p": 0.95,
    "max_tokens": 16,
    "seed": 0,
    "stop": ["\n", "끝"],
    "n": 2,
    "logprobs": True,
    "top_logprobs": 3,
    "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}},
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    "tool_choice": "auto",
    "logit_bias": {"50256": -100},
    "guided_json": {"type": "object", "properties": {"이름": {"type": "string"}}},
    "chat_template_kwargs": {"enable_thinking": False},
    "ignore_eos": False,
    "mirostat": 2.5,
    "empty": [],
    "nothing_in_it": {},
}


def test_every_parameter_reaches_the_body_as_given(server: FakeOpenAI) -> None:
    ask(backend(server.base_url, PARAMETERS))
    body = {**PARAMETERS, "model": "org/name:v1", "messages": QUESTION}
    assert received(server).body == body


def test_a_null_parameter_is_not_sent(server: FakeOpenAI) -> None:
    ask(backend(server.base_url, {"temperature": None, "top_p": 0.5}))
    assert received(server).body == {"model": "org/name:v1", "messages": QUESTION, "top_p": 0.5}


def test_a_null_within_a_parameter_is_sent(server: FakeOpenAI) -> None:
    ask(backend(server.base_url, {"schema": {"default": None}}))
    assert received(server).body["schema"] == {"default": None}


def test_parameters_win_over_request_defaults(server: FakeOpenAI) -> None:
    defaults = {"max_tokens": 256, "top_k": 40, "unset": None}
    ask(backend(server.base_url, {"max_tokens": 8}, request_defaults=defaults))
    body = received(server).body
    assert (body["max_tokens"], body["top_k"]) == (8, 40)
    assert "unset" not in body


CONVERSATION: list[dict[str, Any]] = [
    {"role": "system", "content": "친절하게 답하세요."},
    {"role": "developer", "content": ""},
    {"role": "user", "content": "My colour is green.", "name": "minji"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
        ],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "noted"},
    {"role": "assistant", "content": "Green.", "reasoning_content": "hm", "own": {"k": [1, None]}},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "Which?", "cache_control": {"type": "ephemeral"}},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
        ],
    },
    {"role": "assistant", "tool_calls": [], "refusal": None},
    {"role": "function", "name": "old", "content": "\u2028 \U0001f600"},
]


def test_messages_arrive_message_for_message(server: FakeOpenAI) -> None:
    server.behave = lambda _received, _nth: Reply(text="green")
    ask(backend(server.base_url), CONVERSATION)
    assert received(server).body["messages"] == CONVERSATION


@pytest.mark.parametrize(
    ("trace_id", "plain"),
    [
        ("lm-eval-so-s0-0123abcd", True),
        ("a/b:c@d-~_.!*'()-0123abcd", True),
        ("lm-eval-so-한국어-0123abcd", False),
        ("lm-eval-so-with space\r\nX-Evil: 1-0123abcd", False),
        ("lm-eval-so-100%-0123abcd", False),
    ],
    ids=["plain", "signs", "korean", "line-break", "percent"],
)
def test_the_trace_id_goes_out_as_a_header(
    server: FakeOpenAI, trace_id: str, *, plain: bool
) -> None:
    ask(backend(server.base_url), trace_id=trace_id)
    header = headers(server)["x-client-request-id"]
    assert unquote(header) == trace_id
    assert (header == trace_id) is plain
    assert "x-evil" not in headers(server)


def test_a_long_trace_id_is_cut_where_openai_cuts_it(server: FakeOpenAI) -> None:
    ask(backend(server.base_url), trace_id="x" * 2000)
    assert headers(server)["x-client-request-id"] == "x" * 512


def test_the_sdk_tries_nothing_again(server: FakeOpenAI) -> None:
    server.behave = lambda _received, _nth: Reply(status=500, headers={"Retry-After": "0"})
    with pytest.raises(InternalServerError):
        ask(backend(server.base_url))
    assert len(server.requests) == 1


def test_headers_say_who_asks(server: FakeOpenAI) -> None:
    ask(
        backend(
            server.base_url,
            organization="org-1",
            project="proj-1",
            default_headers={"X-Team": "eval", "X-Api-Key": "secret-0123456789"},
        )
    )
    sent = headers(server)
    assert sent["authorization"] == f"Bearer {KEY}"
    assert sent["openai-organization"] == "org-1"
    assert sent["openai-project"] == "proj-1"
    assert sent["x-team"] == "eval"
    assert sent["x-api-key"] == "secret-0123456789"
    assert sent["content-type"] == "application/json"


def test_the_environment_says_what_the_options_do_not(
    server: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-mine-0123456789")
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    monkeypatch.setenv("OPENAI_ORG_ID", "org-env")
    config = RunConfig(backend="openai", model="m", backend_options={"api_key_env": "MY_KEY"})
    asked = OpenAIBackend(config)
    assert asked.endpoint == server.base_url
    assert asked.secrets == ["sk-mine-0123456789"]
    ask(asked)
    assert headers(server)["authorization"] == "Bearer sk-mine-0123456789"
    assert headers(server)["openai-organization"] == "org-env"


def test_a_slash_at_the_end_of_the_address_makes_no_other_endpoint(server: FakeOpenAI) -> None:
    asked = backend(f"{server.base_url}/")
    assert asked.endpoint == server.base_url
    ask(asked)
    assert len(server.requests) == 1


def test_api_base_is_another_name_for_base_url(server: FakeOpenAI) -> None:
    ask(backend(server.base_url, base_url=None, api_base=server.base_url))
    assert len(server.requests) == 1
    with pytest.raises(ConfigError, match="give one of them"):
        backend(server.base_url, api_base="http://other/v1")


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"api_key": None}, BackendSetupError, "set the variable OPENAI_API_KEY"),
        ({"api_key": "sk-\u200b12345678"}, BackendSetupError, "no key can have"),
        ({"base_url": "127.0.0.1:8000"}, ConfigError, "must start with http"),
        ({"timeout": 5}, ConfigError, r"unknown key 'backend\.options\.timeout'"),
    ],
    ids=["no-key", "odd-key", "no-address", "unknown"],
)
def test_what_cannot_work_is_said_before_anything_is_sent(
    options: dict[str, object], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        backend("http://127.0.0.1:9/v1", **options)


@pytest.mark.parametrize(
    ("error", "what_to_change"),
    [
        (ProxyAuthenticationError("no", status_code=407), "HTTPS_PROXY"),
        (MethodNotAllowedError("no", status_code=405), "backend.options.base_url"),
    ],
)
def test_a_refusal_on_the_way_says_what_to_change(error: BackendError, what_to_change: str) -> None:
    assert what_to_change in asyncio.run(backend("http://127.0.0.1:9/v1").remedy(error))


def test_300_in_flight_open_at_most_300_connections_and_use_them_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A machine that stands still lets none lie idle for too long.
    monkeypatch.setattr("lm_eval_so.runner.backends.http.transport.KEEP_ALIVE_S", 600)
    with FakeOpenAI(lambda _received, _nth: Reply(latency=0.3)) as server:
        server.ready = lambda: server.most_in_flight == 300
        asked = backend(server.base_url)
        sample = TestSample.model_validate({"id": "s0", "messages": QUESTION})
        request = request_of(sample, 0, asked.config, "key", "trace")

        async def three() -> None:
            for _ in range(3):
                await asked.send(request)

        async def main() -> None:
            async with asked:
                await asyncio.gather(*[three() for _ in range(300)])

        asyncio.run(main())
        assert len(server.requests) == 900
        assert server.most_in_flight == 300
        assert len(server.connections) <= 300
