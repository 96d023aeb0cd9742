from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.masking.names import is_secret_name
from lm_eval_so.runner.models import (
    ChatResponse,
    Journal,
    Outcome,
    RunConfig,
    RunError,
    RunResult,
    TestSample,
    TokenUsage,
    Wait,
)
from lm_eval_so.runner.request.build import new_trace_id
from lm_eval_so.runner.run.recorder import Recorder
from support.requests import request_of

CONFIG = RunConfig(
    backend="openai",
    model="m",
    parameters={"temperature": 0},
    backend_options={"base_url": "http://h/v1", "api_key": "sk-secret-0123456789"},
)
SAMPLE = TestSample.model_validate(
    {
        "id": "한국어 1",
        "messages": [{"role": "user", "content": "q", "name": "minji", "own": [1, None]}],
        "expected": {"any": ["thing"]},
        "tags": ["a"],
        "metadata": {"k": None},
        "own": "key",
    }
)
ANSWER = ChatResponse(
    text="",
    finish_reason="stop",
    status_code=200,
    tokens=TokenUsage(input=1, output=0, total=1),
    model="m-2026",
    request_id="r",
    raw={"choices": []},
)
FAILURE = RunError(error_type="InternalServerError", message="down", retryable=True)


def line(outcome: Outcome, *, attempts: int = 1) -> dict[str, Any]:
    """What stands in the file."""
    journal = Journal()
    for _ in range(attempts):
        journal.left(datetime(2026, 11, 1, 12, 0, 0, 500, tzinfo=UTC), 0.0)
        journal.latency_ms = 1.25
        journal.wait(Wait.SLOT, 0.5)
        journal.close(status_code=200)
        if len(journal.attempts) < attempts:
            journal.begin()
    request = request_of(SAMPLE, 0, CONFIG, "f" * 64, "t-한국어 1-0123abcd", journal=journal)
    result = Recorder("d", [CONFIG]).record(request, outcome)
    text = result.model_dump_json()
    assert "\n" not in text
    assert RunResult.model_validate_json(text) == result
    return json.loads(text)


KEYS = {
    "schema_version", "sample_id", "repeat", "dataset_id", "backend", "trace_id", "status",
    "attempts", "latency_ms", "started_at", "completed_at", "request_key", "run_config",
    "request_messages", "request_context", "response", "error",
}  # fmt: skip


def test_a_line_has_just_the_keys_of_the_design() -> None:
    answered = line(Outcome(response=ANSWER))
    assert set(answered) == KEYS
    assert set(answered["run_config"]) == {"backend", "model", "parameters", "backend_options"}
    assert set(answered["request_context"]) == {"sample_tags", "sample_metadata", "expected"}
    response = {
        "text", "finish_reason", "status_code", "tokens", "model", "request_id", "raw",
    }  # fmt: skip
    assert set(answered["response"]) == response
    assert set(answered["response"]["tokens"]) == {"input", "output", "total"}
    failed = line(Outcome(error=FAILURE))
    assert set(failed) == KEYS
    assert set(failed["error"]) == {
        "error_type", "message", "status_code", "retryable", "details",
    }  # fmt: skip


def test_only_more_than_one_attempt_leaves_an_attempt_log() -> None:
    tried = line(Outcome(response=ANSWER), attempts=2)
    assert set(tried) == KEYS | {"attempt_log"}
    assert tried["attempts"] == len(tried["attempt_log"]) == 2
    assert set(tried["attempt_log"][0]) == {
        "started_at", "latency_ms", "waited_ms", "status_code", "error_type",
    }  # fmt: skip


def test_only_a_streamed_answer_tells_the_time_to_its_first_token() -> None:
    streamed = ANSWER.model_copy(update={"time_to_first_token_ms": 12.5})
    assert line(Outcome(response=streamed))["response"]["time_to_first_token_ms"] == 12.5


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome(response=ANSWER), "ok"),
        (Outcome(response=ChatResponse(text="")), "ok"),
        (Outcome(error=FAILURE), "error"),
        (Outcome(error=FAILURE, timed_out=True), "timeout"),
    ],
    ids=["answer", "empty-answer", "failure", "timeout"],
)
def test_exactly_one_of_response_and_error_is_set(outcome: Outcome, status: str) -> None:
    found = line(outcome)
    assert found["status"] == status
    assert (found["response"] is None) == (status != "ok")
    assert (found["error"] is None) == (status == "ok")


def test_a_line_repeats_what_was_asked() -> None:
    found = line(Outcome(response=ANSWER))
    assert found["schema_version"] == 2
    assert found["sample_id"] == "한국어 1"
    assert found["request_messages"] == SAMPLE.messages
    context = {"sample_tags": ["a"], "sample_metadata": {"k": None}, "expected": SAMPLE.expected}
    assert found["request_context"] == context
    assert found["run_config"]["parameters"] == {"temperature": 0}
    assert found["run_config"]["backend_options"] == {"base_url": "http://h/v1"}


def test_times_are_utc_in_iso_8601() -> None:
    found = line(Outcome(response=ANSWER))
    assert found["started_at"] == "2026-11-01T12:00:00.000500Z"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", found["completed_at"])


def test_a_trace_id_names_the_run_and_the_sample_and_is_new_each_time() -> None:
    found = {new_trace_id("pre", "한국어 1") for _ in range(1000)}
    assert len(found) == 1000
    assert all(re.fullmatch(r"pre-한국어 1-[0-9a-f]{8}", trace_id) for trace_id in found)


SECRETS = {
    "api_key": "hidden-1",
    "API-Key": "hidden-2",
    "token": "hidden-3",
    "my_password": "hidden-4",
    "default_headers": {
        "Authorization": "Bearer hidden-5",
        "X-Auth": "hidden-6",
        "X-Team": "hidden-8",
    },
    "client_secret": "hidden-7",
}


def test_a_config_conceals_its_secrets_wherever_it_is_shown() -> None:
    config = RunConfig(backend="b", model="m", backend_options=SECRETS)
    for shown in (repr(config), str(config), f"{config.backend_options}", config.model_dump_json()):
        assert "hidden" not in shown
    assert config.backend_options["api_key"].get_secret_value() == "hidden-1"
    request = request_of(SAMPLE, 0, config, "key", "trace")
    assert "hidden" not in repr(request)


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        *[
            (name, True)
            for name in ("api_key", "apikey", "x-api-key", "OPENAI_API_KEY", "hf_token")
        ],
        *[(name, True) for name in ("Cookie", "Proxy-Authorization", "auth", "hf_token")],
        *[(name, False) for name in ("api_key_env", "max_tokens", "seed", "base_url", "author")],
    ],
)
def test_the_name_tells_a_secret(name: str, *, secret: bool) -> None:
    assert is_secret_name(name) is secret
    options = RunConfig(backend="b", model="m", backend_options={name: "v"}).backend_options
    assert isinstance(options[name], SecretStr) is secret


def test_values_are_frozen() -> None:
    for value, name in ((CONFIG, "model"), (SAMPLE, "id"), (ANSWER, "text"), (FAILURE, "message")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(value, name, "other")


@pytest.mark.parametrize(
    "wrong",
    [{"backend": ""}, {"model": ""}, {"model": None}, {"modell": "m"}],
    ids=["no-backend", "no-model", "null-model", "unknown"],
)
def test_a_config_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RunConfig.model_validate({"backend": "b", "model": "m", **wrong})


@pytest.mark.parametrize(
    "sample",
    [
        {"messages": [{"role": "user", "content": "q"}]},
        {"id": "", "messages": [{"role": "user", "content": "q"}]},
        {"id": "a", "messages": []},
        {"id": "a", "messages": [{"role": "user"}]},
        {"id": "a", "messages": [{"role": "bot", "content": "q"}]},
        {"id": "a", "messages": [{"content": "q"}]},
        {"id": "a", "messages": [{"role": "user", "content": 7}]},
    ],
    ids=["no-id", "empty-id", "no-messages", "no-content", "role", "no-role", "content"],
)
def test_a_sample_that_cannot_be_sent_is_refused(sample: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TestSample.model_validate(sample)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
RESERVED = {"role", "content", "name", "tool_calls", "tool_call_id"}


@given(st.dictionaries(st.text().filter(lambda key: key not in RESERVED), JSON, max_size=3), JSON)
def test_unknown_keys_of_a_message_are_kept(more: dict[str, Any], expected: object) -> None:
    message = {"role": "user", "content": "q", **more}
    sample = TestSample.model_validate({"id": "a", "messages": [message], "expected": expected})
    assert sample.messages == [message]
    assert sample.expected == expected


def test_unknown_keys_of_a_sample_are_kept() -> None:
    assert SAMPLE.model_extra == {"own": "key"}


def test_a_journal_adds_up_waits_by_reason_and_starts_anew_with_each_attempt() -> None:
    journal = Journal()
    journal.wait(Wait.SLOT, 0.1)
    journal.wait(Wait.SLOT, 0.2)
    journal.wait(Wait.RATE_LIMIT, 1)
    assert journal.waited_ms == {"slot": 300, "rate_limit": 1000}
    journal.close(status_code=500, error_type="InternalServerError")
    journal.begin()
    assert (journal.number, journal.waited_ms, journal.latency_ms) == (2, {}, None)
    (first,) = journal.attempts
    assert first.waited_ms == {"slot": 300, "rate_limit": 1000}


@pytest.mark.parametrize("key", ["parameters", "backend_options", "metadata"])
@pytest.mark.parametrize(
    "value",
    [Path("x"), object(), "\ud83d", 10**30, {"inner": [Path("x")]}],
    ids=["path", "object", "half-character", "large", "inner"],
)
def test_what_has_no_json_form_is_refused_with_its_key(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"^{key}: a(\.inner\.0)? is "):
        RunConfig(backend="b", model="m", **{key: {"a": value}})


@pytest.mark.parametrize("key", ["parameters", "backend_options", "metadata"])
def test_what_has_a_json_form_is_taken(key: str) -> None:
    values = {
        "a": [1, 2.5, None, True, {"b": ("c",)}],
        "keys": {50256: -100},
        "at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    config = RunConfig(backend="b", model="m", **{key: values})
    assert RunConfig(**dict(config)) == config
