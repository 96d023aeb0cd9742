"""What a report reads of each result line, at a fraction of the cost of the whole model."""

import json
from typing import Any, NotRequired

import msgspec
import orjson
from typing_extensions import TypedDict

from lm_eval_so.runner.models import SCHEMA_VERSION, Message, Status
from lm_eval_so.runner.store.line import check_line, read_whole


class _Anything(msgspec.Struct):
    """A JSON object of which nothing is kept."""


class _Tokens(TypedDict):
    input: NotRequired[int | None]
    output: NotRequired[int | None]


class _Choice(TypedDict):
    text: str
    finish_reason: NotRequired[str | None]
    refusal: NotRequired[str | None]
    tool_calls: NotRequired[list[dict[str, Any]] | None]


class Answer(_Choice):
    """The ``response`` of a line."""

    tokens: _Tokens | None
    reasoning: NotRequired[str | None]
    choices: NotRequired[list[_Choice] | None]
    time_to_first_token_ms: NotRequired[float | None]


class _Error(msgspec.Struct):
    error_type: str
    message: str
    status_code: int | None
    retryable: bool


class Context(msgspec.Struct):
    """The ``request_context`` of a line."""

    sample_tags: list[str]
    sample_metadata: dict[str, Any] = {}
    sample_key: str | None = None


class ResultLine(msgspec.Struct):
    """A line that is whole: all that `read_whole` asks for is there."""

    sample_id: str
    dataset_id: str
    backend: str
    trace_id: str
    status: Status
    attempts: int
    latency_ms: float | None
    started_at: str
    completed_at: str
    request_key: str
    run_config: _Anything
    request_messages: list[Message]
    request_context: Context
    response: Answer | None
    error: _Error | None
    repeat: int = 0
    cost_usd: float | None = None
    attempt_log: list[_Anything] | None = None
    schema_version: Any = SCHEMA_VERSION


_decode = msgspec.json.Decoder(ResultLine).decode


def read_result_line(line: bytes, where: object) -> ResultLine | None:
    """The content of a line; None if it is damaged, as `read_whole` sees it.

    Args:
        line: One line, with its newline or without.
        where: Path of its file.

    Raises:
        NewerVersionError: A newer release wrote it.
    """
    try:
        found = _decode(line)
        if not line.isascii():
            line.decode()  # what is passed over has to be text too
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _odd(line, where)
    if found.schema_version != SCHEMA_VERSION:
        check_line({"schema_version": found.schema_version}, where)
    is_answer = found.response is not None
    if is_answer is (found.error is not None) or is_answer is not (found.status == "ok"):
        return None
    return found


def loads(line: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """The value of a line, which may hold half of a character, or be deep.

    Raises:
        ValueError: It is not JSON.
    """
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return json.loads(line)


def _odd(line: bytes, where: object) -> ResultLine | None:
    try:
        read_whole(line, where)
        return msgspec.convert(loads(line), ResultLine)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
