"""The backend against a server on a real socket: headers, errors, limits, times."""

from __future__ import annotations

import asyncio
import inspect
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import anthropic
import pytest

from lm_eval_so.runner import errors
from lm_eval_so.runner.backends.anthropic.backend import AnthropicBackend
from lm_eval_so.runner.config.schema import PriceOptions
from lm_eval_so.runner.errors import BackendError, BackendSetupError, ConfigError
from lm_eval_so.runner.models import ChatResponse, RunConfig, TestSample
from lm_eval_so.runner.strategy.price import price_of
from support.fake_openai import Reply
from support.fake_wires import KEY, FakeAnthropic
from support.requests import request_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def fake() -> Iterator[FakeAnthropic]:
    with FakeAnthropic() as server:
        yield server


def made(
    environ: dict[str, str],
    options: dict[str, Any] | None = None,
    **parameters: Any,  # noqa: ANN401 - any
) -> AnthropicBackend:
    config = RunConfig(
        backend="anthropic", model="m", parameters=parameters, backend_options=options or {}
    )
    return AnthropicBackend(config, environ)


def ask(backend: AnthropicBackend) -> ChatResponse:
    async def main() -> ChatResponse:
        sample = TestSample(id="s0", messages=[{"role": "user", "content": "q"}])
        async with backend:
            return await backend.send(request_of(sample, 0, backend.config, "key", "trace"))

    return asyncio.run(main())


def failure(fake: FakeAnthropic, reply: Reply, **parameters: Any) -> BackendError:  # noqa: ANN401 - any
    fake.behave = lambda _received, _nth: reply
    with pytest.raises(BackendError) as raised:
        ask(made(fake.env, **parameters))
    assert len(fake.requests) == 1, "the SDK's own retries are off"
    return raised.value


def test_a_question_goes_out_with_the_headers_of_the_sdk(fake: FakeAnthropic) -> None:
    answer = ask(made(fake.env))
    assert (answer.text, answer.finish_reason) == ("echo: q", "stop")
    assert answer.time_to_first_token_ms is None
    (received,) = fake.requests
    client = anthropic.AsyncAnthropic(api_key=KEY)
    expected = {
        **client.auth_headers,
        "anthropic-version": client.default_headers["anthropic-version"],
    }
    assert {name: received.headers[name] for name in expected} == expected
    assert not [name for name in received.headers if name.lower().startswith("x-stainless")]


def test_a_token_is_sent_as_the_sdk_sends_it(fake: FakeAnthropic) -> None:
    ask(made({"ANTHROPIC_BASE_URL": fake.base_url, "ANTHROPIC_AUTH_TOKEN": "token-0123456789"}))
    expected = anthropic.AsyncAnthropic(auth_token="token-0123456789").auth_headers  # noqa: S106 - nobody's
    assert fake.requests[0].headers["Authorization"] == expected["Authorization"]


def test_a_key_wins_over_a_token(fake: FakeAnthropic) -> None:
    ask(made({**fake.env, "ANTHROPIC_AUTH_TOKEN": "token-0123456789"}))
    assert "token-0123456789" not in str(fake.requests[0].headers)


def test_headers_of_options_and_of_the_environment_are_sent(fake: FakeAnthropic) -> None:
    variables = {**fake.env, "ANTHROPIC_CUSTOM_HEADERS": "X-Team: qa\nX-Other: 1"}
    ask(made(variables, {"default_headers": {"anthropic-beta": "files", "x-other": "2"}}))
    received = {name.lower(): value for name, value in fake.requests[0].headers.items()}
    assert (received["anthropic-beta"], received["x-team"], received["x-other"]) == (
        *("files", "qa"),
        "2",
    )


def test_a_stream_has_its_times(fake: FakeAnthropic) -> None:
    answer = ask(made(fake.env, stream=True))
    assert (answer.text, answer.finish_reason) == ("echo: q", "stop")
    assert answer.tokens is not None
    assert answer.tokens.output == 3
    assert answer.time_to_first_token_ms is not None
    assert answer.time_to_first_answer_token_ms is not None
    assert 0 < answer.time_to_first_token_ms <= answer.time_to_first_answer_token_ms


def test_limit_headers_come_with_the_answer(fake: FakeAnthropic) -> None:
    headers = {"anthropic-ratelimit-requests-limit": "50", "request-id": "req_9"}
    fake.behave = lambda _received, _nth: Reply(headers=headers)
    assert ask(made(fake.env)).headers["anthropic-ratelimit-requests-limit"] == "50"


STATUS_ERRORS = {
    name: kind
    for name, kind in vars(anthropic).items()
    if inspect.isclass(kind)
    and issubclass(kind, anthropic.APIStatusError)
    and isinstance(getattr(kind, "status_code", None), int)
}
OF_ANOTHER_NAME = {
    402: "QuotaExceededError",
    412: "BackendError",
    413: "BackendError",
    431: "BackendError",
    499: "TransientError",
}
"""Statuses for which our tree has no class of the SDK's name."""


def test_the_sdk_still_has_its_tree() -> None:
    assert {"BadRequestError", "RateLimitError", "OverloadedError"} <= STATUS_ERRORS.keys()


@pytest.mark.parametrize("name", STATUS_ERRORS)
def test_each_exception_of_the_sdk_has_its_counterpart(name: str, fake: FakeAnthropic) -> None:
    status = STATUS_ERRORS[name].status_code
    error = failure(fake, Reply(status=status, text="why"))
    parents = {each.__name__ for each in STATUS_ERRORS[name].__mro__}
    expected = OF_ANOTHER_NAME.get(status)
    assert (error.message, error.status_code) == ("why", status)
    if expected:
        assert type(error).__name__ == expected
    else:
        assert type(error).__name__ in parents
        assert type(error) is getattr(errors, type(error).__name__)
    assert error.retryable == (
        status in {408, 409, 429, 499} or (status >= 500 and status not in {501, 505, 511})
    )


@pytest.mark.parametrize("streamed", [False, True])
def test_an_overloaded_server_is_one_without_room(fake: FakeAnthropic, streamed: bool) -> None:  # noqa: FBT001 - a parameter
    reply = Reply(status=529, text="Overloaded", extra={"type": "overloaded_error"})
    error = failure(fake, reply, stream=streamed)
    assert (error.status_code, error.retryable) == (529, True)
    assert error.status_code in errors.REFUSALS


@pytest.mark.parametrize(
    ("status", "extra", "kind", "sample_fault"),
    [
        (400, {"message": "Your credit balance is too low"}, "QuotaExceededError", False),
        (
            429,
            {"details": {"error_code": "contract_spend_limit_reached"}},
            "QuotaExceededError",
            False,
        ),
        (429, {"details": {"error_code": "ramp_limit_exceeded"}}, "RateLimitError", False),
        (400, {"message": "prompt is too long: 9 tokens > 8"}, "BadRequestError", True),
        (413, {"type": "request_too_large"}, "BackendError", True),
    ],
    ids=["balance", "spend limit", "ramp", "too long", "too large"],
)
def test_what_an_error_means_is_read_from_its_words(
    status: int,
    extra: dict[str, Any],
    kind: str,
    sample_fault: bool,  # noqa: FBT001 - a parameter
    fake: FakeAnthropic,
) -> None:
    error = failure(fake, Reply(status=status, extra=extra))
    assert (type(error).__name__, error.sample_fault) == (kind, sample_fault)


def test_a_message_that_nobody_examined_fails_its_sample(fake: FakeAnthropic) -> None:
    backend = made(fake.env)
    sample = TestSample(id="s0", messages=[{"role": "user", "content": ""}])

    async def main() -> None:
        async with backend:
            await backend.send(request_of(sample, 0, backend.config, "key", "trace"))

    with pytest.raises(BackendError, match="has no content") as raised:
        asyncio.run(main())
    assert (raised.value.retryable, raised.value.sample_fault) == (False, True)
    assert fake.requests == []


@pytest.mark.parametrize(
    ("environ", "options", "told"),
    [
        ({}, {}, "no API key: set the variable ANTHROPIC_API_KEY"),
        ({"ANTHROPIC_API_KEY": "'sk'"}, {}, "ANTHROPIC_API_KEY stands in quotes"),
        ({"ANTHROPIC_AUTH_TOKEN": "Bearer x"}, {}, "ANTHROPIC_AUTH_TOKEN begins with 'Bearer'"),
        (
            {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": "https://x.y/v1"},
            {},
            "ANTHROPIC_BASE_URL must end before /v1, which is added to it",
        ),
        ({"ANTHROPIC_API_KEY": "k"}, {"base_url": "https://x.y/v1/messages"}, "must end before"),
        ({"ANTHROPIC_API_KEY": "k"}, {"api_key_env": "sk-ant-api03-abcdefgh"}, "must be the name"),
    ],
    ids=["no key", "quotes", "bearer", "v1", "path", "key as a name"],
)
def test_what_cannot_be_sent_is_told_at_once(
    environ: dict[str, str], options: dict[str, Any], told: str
) -> None:
    with pytest.raises((BackendSetupError, ConfigError), match=told):
        made(environ, options)


@pytest.mark.parametrize(
    "parameters",
    [{"tools": ["search"]}, {"tools": 5}, {"response_format": "json"}, {"tool_choice": 7}],
    ids=str,
)
def test_a_parameter_of_another_type_is_told_in_one_sentence(parameters: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"the parameter {next(iter(parameters))}="):
        made({"ANTHROPIC_API_KEY": "k"}, **parameters)


def test_a_query_takes_true_and_numbers_as_the_sdk_does() -> None:
    found = made({"ANTHROPIC_API_KEY": "k"}, {"default_query": {"beta": True, "v": 2}})
    query = {name: value.get_secret_value() for name, value in found.options.default_query.items()}
    assert query == {"beta": "true", "v": "2"}


WITHOUT_THE_SDK = """
import sys
from importlib.machinery import PathFinder

class Hiding(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name == "anthropic" else super().find_spec(name, path, target)

sys.meta_path[:] = [Hiding if each is PathFinder else each for each in sys.meta_path]
from lm_eval_so.runner.hydra_app.app import main
sys.exit(main(["backend=anthropic", "model=m", "output_dir=run"]))
"""


def test_without_the_sdk_one_sentence_says_what_to_type(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_THE_SDK],
        env={**os.environ, "ANTHROPIC_API_KEY": "k"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr == (
        "error: backend=anthropic needs the extra anthropic: pip install 'lm-eval-so[anthropic]'\n"
    )


def test_what_decides_the_answers_is_the_identity() -> None:
    backend = made(
        {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": "https://me:pw@x.y/?api-key=1&a=2"}
    )
    assert backend.endpoint == "https://x.y?a=2"
    assert backend.defaults == {"max_tokens": 8192}
    assert backend.identity_options == {
        "default_headers": {},
        "request_defaults": {"max_tokens": 8192},
    }


def test_the_provider_s_price_is_known() -> None:
    price = price_of("claude-haiku-4-5", made({"ANTHROPIC_API_KEY": "k"}).endpoint, PriceOptions())
    assert price is not None
    assert price.of(1e6, 0) > 0


def test_a_model_that_is_not_there_is_told_with_those_that_are(fake: FakeAnthropic) -> None:
    fake.models = ["claude-one", "claude-two"]
    fake.behave = lambda _received, _nth: Reply(status=404, text="model: m")
    backend = made(fake.env)

    async def main() -> str:
        async with backend:
            return await backend.remedy(errors.NotFoundError("model: m"))

    assert "has no model 'm'; it has claude-" in asyncio.run(main())


def test_a_wrong_key_is_told_with_its_variable(fake: FakeAnthropic) -> None:
    def remedy(environ: dict[str, str]) -> str:
        return asyncio.run(made(environ).remedy(errors.AuthenticationError("no")))

    assert "the variable ANTHROPIC_API_KEY" in remedy(fake.env)
    assert "the variable ANTHROPIC_AUTH_TOKEN" in remedy({"ANTHROPIC_AUTH_TOKEN": "token-012345"})
