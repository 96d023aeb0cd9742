"""What a report reads of each result line, at a fraction of the cost of the whole model."""

from typing import Any, NotRequired

import msgspec

from lm_eval_so.report.json_text import loads
from lm_eval_so.runner.models import SCHEMA_VERSION, Status
from lm_eval_so.runner.store.line import Response, check_line, read_whole


class _Anything(msgspec.Struct):
    """A JSON object of which nothing is kept."""


class Answer(Response):
    """The ``response`` of a line, and whether it has reasoning."""

    reasoning: NotRequired[Any]


class _Error(msgspec.Struct):
    error_type: str
    message: str
    status_code: int | None
    retryable: bool
    served_by: str | None = None


class _Attempt(msgspec.Struct):
    status_code: int | None


class Context(msgspec.Struct):
    """The ``request_context`` of a line."""

    sample_tags: list[str]
    sample_metadata: Any = None
    sample_key: Any = None


class ResultLine(msgspec.Struct):
    """A line that is whole: what `read_whole` asks for is there, and nothing else is asked for."""

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
    request_messages: list[dict[str, Any]]
    request_context: Context
    response: Answer | None
    error: _Error | None
    repeat: int = 0
    cost_usd: float | None = None
    attempt_log: list[_Attempt] | None = None
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


def _odd(line: bytes, where: object) -> ResultLine | None:
    try:
        read_whole(line, where)
        return msgspec.convert(loads(line), ResultLine)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
