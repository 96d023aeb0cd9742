from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from pydantic import TypeAdapter

from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.models import (
    ChatResponse,
    RecordedConfig,
    RequestContext,
    RunError,
    RunResult,
)
from lm_eval_so.runner.store.line import Whole, as_line, read_line, read_whole

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def result(**changed: Any) -> RunResult:  # noqa: ANN401 - fields of many types
    fields: dict[str, Any] = {
        "sample_id": "s0",
        "dataset_id": "d",
        "backend": "b",
        "trace_id": "t",
        "status": "ok",
        "attempts": 1,
        "latency_ms": 1.0,
        "started_at": NOW,
        "completed_at": NOW,
        "request_key": "k",
        "run_config": RecordedConfig(backend="b", model="m", parameters={}, backend_options={}),
        "request_messages": [{"role": "user", "content": "q"}],
        "request_context": RequestContext(sample_tags=[], sample_metadata={}, expected=None),
        "response": ChatResponse(text="fine"),
        "error": None,
    }
    return RunResult(**{**fields, **changed})


def failed(**changed: Any) -> RunResult:  # noqa: ANN401 - fields of many types
    error = RunError(**{"error_type": "E", "message": "no", "retryable": False, **changed})
    return result(status="error", response=None, error=error)


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = {"a": [value]}
    return value


class Odd:
    """Has no JSON form."""


class Hopeless:
    """Has no form at all."""

    def __repr__(self) -> str:
        raise RuntimeError("no words")


UNWRITABLE: dict[str, object] = {
    "half-a-character": {"id": "\ud83d"},
    "half-a-character-in-a-key": {"\ud83d": 1},
    "deeper-than-pydantic-writes": nested(150),
    "deeper-than-python-recurses": nested(3000),
    "an-object": {"a": Odd()},
    "bytes-that-are-no-text": {"a": b"\xff"},
    "a-set-of-odd-things": {"a": {Odd()}},
}


@pytest.mark.parametrize("name", UNWRITABLE)
def test_an_answer_whose_raw_cannot_be_written_is_an_answer(name: str) -> None:
    kept, line = as_line(
        result(response=ChatResponse(text="fine", raw=UNWRITABLE[name])), Redactor()
    )
    assert kept.status == "ok"
    assert orjson.loads(line)["response"]["text"] == "fine"
    assert read_line(line) == kept


@pytest.mark.parametrize("name", UNWRITABLE)
def test_an_error_whose_details_cannot_be_written_is_that_error(name: str) -> None:
    kept, line = as_line(
        failed(details={"body": UNWRITABLE[name]}), Redactor(["secret-0123456789"])
    )
    assert (kept.status, kept.error and kept.error.message) == ("error", "no")
    assert read_line(line) == kept


def test_an_answer_that_cannot_be_kept_at_all_is_an_error_of_its_sample() -> None:
    hopeless = ChatResponse(text="fine", raw={"a": Hopeless()})
    kept, line = as_line(result(response=hopeless, cost_usd=0.5), Redactor())
    assert (kept.status, kept.response) == ("error", None)
    assert kept.error is not None
    assert kept.error.error_type == "UnwritableResultError"
    assert kept.error.message.startswith("the answer cannot be written: ")
    assert read_line(line) == kept


@pytest.mark.parametrize("depth", [60, 95, 99, 110, 120])
def test_every_depth_that_is_written_is_read(depth: int) -> None:
    kept, line = as_line(result(response=ChatResponse(text="fine", raw=nested(depth))), Redactor())
    assert read_line(line) == kept
    assert orjson.loads(line)["response"]["raw"]


def test_a_repaired_line_holds_no_secret() -> None:
    said = {"\ud83d": "my-secret-0123456789"}
    _, line = as_line(
        result(response=ChatResponse(text="fine", raw=said)), Redactor(["my-secret-0123456789"])
    )
    assert b"my-secret" not in line
    assert "***" in str(orjson.loads(line)["response"]["raw"])


@pytest.mark.parametrize("name", ["text", "finish_reason", "model", "request_id"])
def test_halves_of_characters_are_joined_in_every_text_of_an_answer(name: str) -> None:
    response = ChatResponse(**{"text": "", name: "hi \ud83d\ude00 \ud83d"})
    kept, line = as_line(result(response=response), Redactor())
    assert getattr(kept.response, name) == "hi \U0001f600 \ufffd"
    assert read_line(line) == kept


def test_halves_of_characters_in_an_error_are_repaired() -> None:
    kept, line = as_line(failed(message="\ud83d", details={"\ud83d": "\ude00"}), Redactor())
    assert kept.error is not None
    assert (kept.error.message, kept.error.details) == ("\ufffd", {"\ufffd": "\ufffd"})
    assert read_line(line) == kept


def test_the_cost_that_a_server_tells_is_recorded_once() -> None:
    answer = ChatResponse(text="fine", cost_usd=0.25)
    _, line = as_line(result(response=answer, cost_usd=0.25), Redactor())
    assert line.count(b"cost_usd") == 1


def test_what_is_told_of_a_masked_line_is_what_it_holds() -> None:
    kept, line = as_line(
        result(sample_id="my-secret-0123456789"), Redactor(["my-secret-0123456789"])
    )
    assert read_line(line) == kept


_IN_FULL = TypeAdapter(Whole)


def whole_or_none(line: bytes) -> Whole | None:
    try:
        return read_whole(line)
    except ValueError:
        return None


def in_full(line: bytes) -> Whole | None:
    """What the strict model makes of a line, slowly."""
    try:
        fields = _IN_FULL.validate_json(line, strict=True)
    except ValueError:
        return None
    is_answer = fields["response"] is not None
    is_one = is_answer is (fields["error"] is None) and is_answer is (fields["status"] == "ok")
    return fields if is_one and fields.get("schema_version", 2) == 2 else None


def line_of_everything() -> bytes:
    """With what a run reads and what it passes over, in ASCII and in other characters."""
    response = ChatResponse(text="fünf", model="m", raw={"a": [1, 2.5, None, True, '"é']})
    return as_line(result(response=response, cost_usd=0.5), Redactor())[1]


@pytest.mark.parametrize("byte", [0x00, 0x0A, 0x22, 0x2C, 0x5C, 0x7D, 0x80, 0xFF], ids=hex)
def test_a_line_with_a_damaged_byte_is_believed_only_where_the_strict_model_believes_it(
    byte: int,
) -> None:
    line = line_of_everything()
    assert whole_or_none(line) == in_full(line) != None  # noqa: E711 - it is one
    for place in range(len(line)):
        damaged = line[:place] + bytes([byte]) + line[place + 1 :]
        if b'"schema_version":2,' in damaged:
            assert whole_or_none(damaged) == in_full(damaged), damaged


def test_a_line_that_is_cut_off_anywhere_is_not_believed() -> None:
    line = line_of_everything()
    assert not [cut for cut in range(len(line)) if whole_or_none(line[:cut])]


@pytest.mark.parametrize(
    "value", [None, True, 1, 1.0, 1.5, -1, 2**70, "x", "", [], {}, [{}]], ids=repr
)
def test_a_field_of_another_type_is_believed_only_where_the_strict_model_believes_it(
    value: object,
) -> None:
    fields = orjson.loads(line_of_everything())
    for name in (*fields, "repeat", "attempt_log"):
        if name != "schema_version":
            changed = json.dumps({**fields, name: value}).encode()
            assert whole_or_none(changed) == in_full(changed), name
    for name in (*fields["response"], "choices"):
        response = {**fields["response"], name: value}
        changed = json.dumps({**fields, "response": response}).encode()
        assert whole_or_none(changed) == in_full(changed), name
