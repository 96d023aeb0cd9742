"""A result to its line in the file, and back."""

from functools import cache
from typing import TYPE_CHECKING, Any, NotRequired

import msgspec
import orjson
from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from lm_eval_so.runner.errors import UnwritableResultError
from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.models import SCHEMA_VERSION, AnswerChoice, RunError, RunResult, Status
from lm_eval_so.runner.store.version import check_version
from lm_eval_so.runner.text.sanitise import sanitise_json

if TYPE_CHECKING:
    from pydantic.plugin._schema_validator import PluggableSchemaValidator
    from pydantic_core import SchemaValidator

_LONGEST_REASON = 200  # characters
_FOREIGN = {  # what servers, backends and datasets put into a result
    "response": (
        "text",
        "finish_reason",
        "reasoning",
        "tool_calls",
        "refusal",
        "model",
        "service_tier",
        "system_fingerprint",
        "request_id",
        "recorded_headers",
        "raw",
    ),
    "error": ("message", "details"),
    "request_context": ("sample_tags", "sample_metadata", "expected"),
}


class _Tokens(TypedDict, total=False):
    input: int | None
    output: int | None
    total: int | None
    cached: int | None
    reasoning: int | None


class Choice(TypedDict):
    """One of the ``choices`` of a response."""

    text: str
    finish_reason: NotRequired[str | None]
    refusal: NotRequired[str | None]
    tool_calls: NotRequired[list[dict[str, Any]] | None]


class Response(Choice):
    """The ``response`` of a line."""

    tokens: _Tokens | None
    choices: NotRequired[list[Choice] | None]
    model: NotRequired[str | None]
    system_fingerprint: NotRequired[str | None]
    time_to_first_token_ms: NotRequired[float | None]
    time_to_first_answer_token_ms: NotRequired[float | None]
    served_by: NotRequired[str | None]


class _Error(TypedDict):
    error_type: str
    message: str
    status_code: int | None
    retryable: bool
    served_by: NotRequired[str | None]


class _Context(TypedDict):
    sample_tags: list[str]
    sample_key: NotRequired[str | None]


class _Attempt(TypedDict):
    status_code: int | None


class Whole(TypedDict):
    """The parts of a RunResult line that a run reads, at a tenth of the cost of the whole model."""

    schema_version: NotRequired[Any]
    sample_id: str
    repeat: NotRequired[int]
    dataset_id: str
    backend: str
    trace_id: str
    status: Status
    attempts: int
    latency_ms: float | None
    started_at: str
    completed_at: str
    request_key: str
    run_config: dict[str, Any]
    request_messages: list[dict[str, Any]]
    request_context: _Context
    response: Response | None
    error: _Error | None
    cost_usd: NotRequired[float | None]
    attempt_log: NotRequired[list[_Attempt] | None]


_read_fields = msgspec.json.Decoder(Whole).decode


def as_line(result: RunResult, redactor: Redactor) -> tuple[RunResult, bytes]:
    """The result as written, and its line, without secrets.

    Values that cannot be written as JSON are repaired (see `sanitise_json`). If that does not help,
    the result of the sample is an error that says so: an answer never ends a run.
    """
    try:
        return _written(result, redactor)
    except Exception as first:  # noqa: BLE001 - any error is this sample's result
        reason = first
    try:
        return _written(_repaired(result), redactor)
    except Exception:  # noqa: BLE001 - as above
        return _written(_unwritable(result, reason), redactor)


def read_line(line: bytes, where: object = "the line") -> RunResult:
    """The result that a line holds.

    Args:
        line: One line, with its newline or without.
        where: Path of its file.

    Raises:
        NewerVersionError: A newer release wrote it.
        ValueError: It is not a RunResult.
    """
    try:
        result = RunResult.model_validate_json(line)
    except ValueError:  # also for nesting that pydantic writes, but does not read
        fields = orjson.loads(line)
        check_line(fields, where)
        return RunResult.model_validate(fields)
    check_version(where, result.schema_version, SCHEMA_VERSION)
    return result


def read_whole(line: bytes, where: object = "the line") -> Whole:
    """The content of a valid line: every field is there and has the right type.

    Args:
        line: One line, with its newline or without.
        where: Path of its file.

    Raises:
        NewerVersionError: A newer release wrote it.
        ValueError: It is not such a line.
    """
    try:
        fields = _read_fields(line)
        if not line.isascii():
            line.decode()  # what is passed over has to be text too
    except (msgspec.MsgspecError, ValueError, RecursionError):
        fields = _read_odd(line, where)
    if fields.get("schema_version", SCHEMA_VERSION) != SCHEMA_VERSION:
        check_line(fields, where)
    is_answer = fields["response"] is not None
    if is_answer is (fields["error"] is not None) or is_answer is not (fields["status"] == "ok"):
        raise ValueError("a result is an answer or an error")
    return fields


def _read_odd(line: bytes, where: object) -> Whole:
    """`read_whole` of a line that is damaged, newer, deep, or with half of a character in it."""
    try:
        fields: Whole = _validator().validate_json(line, strict=True)
    except ValidationError as error:
        found = orjson.loads(line)
        check_line(found, where)
        if error.errors(include_url=False, include_input=False)[0]["type"] != "json_invalid":
            raise
        fields = _validator().validate_python(found, strict=True)  # it may just be deep
    return fields


@cache
def _validator() -> "SchemaValidator | PluggableSchemaValidator":
    """Made when it is needed, which it seldom is."""
    return TypeAdapter(Whole).validator


def check_line(fields: object, where: object) -> None:
    """Makes sure that the fields of a line can be understood.

    Raises:
        NewerVersionError: A newer release wrote it.
    """
    if isinstance(fields, dict):
        check_version(where, fields.get("schema_version"), SCHEMA_VERSION)


def _written(result: RunResult, redactor: Redactor) -> tuple[RunResult, bytes]:
    if result.error is not None:
        result = result.model_copy(update={"error": _without_secrets(result.error, redactor)})
    whole = result.model_dump_json().encode()
    line = redactor.line(whole)
    return result if line is whole else read_line(line), line


def _without_secrets(error: RunError, redactor: Redactor) -> RunError:
    update = {"message": redactor.text(error.message), "details": redactor.details(error.details)}
    return error.model_copy(update=update)


def _repaired(result: RunResult) -> RunResult:
    update: dict[str, Any] = {"request_messages": sanitise_json(result.request_messages)}
    for name, fields in _FOREIGN.items():
        part = getattr(result, name)
        if part is not None:
            whole = {field: sanitise_json(getattr(part, field)) for field in fields}
            if choices := getattr(part, "choices", None):
                whole["choices"] = tuple(map(_repaired_choice, choices))
            update[name] = part.model_copy(update=whole)
    return result.model_copy(update=update)


def _repaired_choice(choice: AnswerChoice) -> AnswerChoice:
    return AnswerChoice(**sanitise_json(dict(choice)))


def _unwritable(result: RunResult, reason: Exception) -> RunResult:
    error = RunError(
        error_type=UnwritableResultError.__name__,
        message=f"the answer cannot be written: {type(reason).__name__}: {reason}"[
            :_LONGEST_REASON
        ],
        retryable=False,
    )
    update = {"status": "error", "response": None, "error": error, "cost_usd": None}
    return result.model_copy(update=update)
