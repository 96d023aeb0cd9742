"""A result to the line that stands for it, and back."""

from typing import Any

import orjson

from lm_eval_so.runner.errors import UnwritableResultError
from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.models import RunError, RunResult
from lm_eval_so.runner.repair import whole_json

_LONGEST_REASON = 200  # characters
_FOREIGN = {  # what servers, backends and datasets put into a result
    "response": ("text", "finish_reason", "model", "request_id", "raw"),
    "error": ("message", "details"),
    "request_context": ("sample_tags", "sample_metadata", "expected"),
}


def as_line(result: RunResult, redactor: Redactor) -> tuple[RunResult, bytes]:
    """The result as it is kept, and its line, without secrets.

    What has no JSON form in it is repaired (see `whole_json`). Where even that does not help, the
    sample's result is an error that says so: no answer ends a run.
    """
    try:
        return _written(result, redactor)
    except Exception as first:  # noqa: BLE001 - whatever it is, it is this sample's
        reason = first
    try:
        return _written(_repaired(result), redactor)
    except Exception:  # noqa: BLE001 - as above
        return _written(_unwritable(result, reason), redactor)


def read_line(line: bytes) -> RunResult:
    """The result that a line holds.

    Raises:
        ValueError: It is no RunResult.
    """
    try:
        return RunResult.model_validate_json(line)
    except ValueError:  # also of nesting that pydantic writes, but does not read
        return RunResult.model_validate(orjson.loads(line))


def _written(result: RunResult, redactor: Redactor) -> tuple[RunResult, bytes]:
    if result.error is not None:
        result = result.model_copy(update={"error": _without_secrets(result.error, redactor)})
    return result, redactor.line(result.model_dump_json().encode())


def _without_secrets(error: RunError, redactor: Redactor) -> RunError:
    update = {"message": redactor.text(error.message), "details": redactor.details(error.details)}
    return error.model_copy(update=update)


def _repaired(result: RunResult) -> RunResult:
    update: dict[str, Any] = {"request_messages": whole_json(result.request_messages)}
    for name, fields in _FOREIGN.items():
        part = getattr(result, name)
        if part is not None:
            whole = {field: whole_json(getattr(part, field)) for field in fields}
            update[name] = part.model_copy(update=whole)
    return result.model_copy(update=update)


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
