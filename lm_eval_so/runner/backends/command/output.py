"""What a command printed becomes a ChatResponse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from lm_eval_so.runner.backends.command.paths import found_by
from lm_eval_so.runner.backends.command.pattern import read_pattern
from lm_eval_so.runner.backends.plain_answer import plain_answer
from lm_eval_so.runner.errors import BackendError, InvalidResponseError
from lm_eval_so.runner.models import ChatResponse
from lm_eval_so.runner.text.one_line import one_line
from lm_eval_so.runner.text.sanitise import sanitise_json

if TYPE_CHECKING:
    from lm_eval_so.runner.backends.command.options import CommandOptions
    from lm_eval_so.runner.backends.command.paths import Paths

_LONGEST_EXCERPT = 500  # characters
_LONGEST_WORDS = 200  # characters that are quoted
_ERROR = "error"


def read_output(options: CommandOptions, stdout: bytes, stderr: str) -> ChatResponse:
    """The answer in what a command printed before it ended well.

    Raises:
        InvalidResponseError: There is none.
        BackendError: It printed an error.
    """
    text = stdout.decode(errors="replace")
    timed = read_pattern(options.stderr_pattern, stderr) if options.stderr_pattern else None
    if options.output == "json":
        return read_json_answer(stdout, options.paths, timed or {})
    found: dict[str, Any] | None = {"text": text.removesuffix("\n").removesuffix("\r")}
    if options.pattern is not None:
        found = read_pattern(options.pattern, text)
        if found is None:
            raise _no_answer("the pattern is nowhere in the output", text)
    return ChatResponse(**_together(timed or {}, found or {}))


def read_json_answer(
    text: bytes, paths: Paths, beside: dict[str, Any] | None = None
) -> ChatResponse:
    """The answer in a JSON object, by the paths or by our own names.

    Args:
        text: The object, alone.
        paths: JMESPath of each field; without any, the keys are the fields.
        beside: Fields that were found elsewhere.

    Raises:
        InvalidResponseError: There is none.
        BackendError: There is an ``error`` in its place.
    """
    try:
        data = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise _no_answer("the output is no JSON", text.decode(errors="replace")) from None
    if not paths and not isinstance(data, dict):
        raise _no_answer("the output is no JSON object", text.decode(errors="replace"))
    found = found_by(paths, data) if paths else dict(data)
    if error := found.pop(_ERROR, None):
        raise _told_error(error)
    if paths:
        found.setdefault("raw", data)
        if paths.get("text") and "text" not in found:
            path = paths["text"]
            raise _no_answer(f"{path!r} finds nothing", text.decode(errors="replace"))
    try:
        return plain_answer(_together(beside or {}, found))
    except ValueError as error:
        raise _no_answer(f"the output has {error}", text.decode(errors="replace")) from error


def _together(beside: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """The fields of both; tokens that both tell are those of the output."""
    noted, told = beside.get("tokens"), found.get("tokens") or {}
    if noted is None or not isinstance(told, dict):
        return {**beside, **found}
    return {**beside, **found, "tokens": {**noted, **told}}


def _told_error(error: object) -> BackendError:
    """An error that the command tells as JSON: a text, or ``{message, retryable}``."""
    fields = error if isinstance(error, dict) else {}
    message = str(fields.get("message") or error)
    return BackendError(
        f"the command says: {one_line(message, _LONGEST_EXCERPT)}",
        retryable=fields.get("retryable") is True,
        details=sanitise_json(fields) or None,
    )


def _no_answer(reason: str, text: str) -> InvalidResponseError:
    there = one_line(text, _LONGEST_WORDS) or "nothing at all"
    # The same program says the same of the same question: no other attempt helps.
    return InvalidResponseError(
        f"no answer: {reason}, but: {there}",
        retryable=False,
        details={"stdout": text[:_LONGEST_EXCERPT], "code": reason},
    )
