"""Errors that come with a 200: in the place of an answer, beside one, or in a piece of a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lm_eval_so.runner.backends.http.error_response import from_error_object
from lm_eval_so.runner.backends.http.no_error import tells_no_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lm_eval_so.runner.errors import BackendError

_ANSWERS = ("choices", "output", "output_text", "content")
"""Where an answer stands: in Chat Completions, in Responses and in Messages."""


def error_within(part: Mapping[str, Any]) -> BackendError | None:
    """The error that a 200 tells in its body, in a piece of a stream or in a choice.

    None where it tells none; an empty one (``{}``, or nothing but nulls) is none, nor is one beside
    an answer that says so.
    """
    error = part.get("error")
    if "error" in (part.get("object"), part.get("type")):  # vLLM, SGLang; Anthropic
        error = error or part
    if not error or (isinstance(error, dict) and not any(error.values())):
        return None
    if _answers(part) and tells_no_error(error):
        return None
    if isinstance(error, list):  # Gemini
        error = error[0]
    fields = error if isinstance(error, dict) else {"message": str(error)}
    return from_error_object(fields)


def _answers(part: Mapping[str, Any]) -> bool:
    return any(part.get(name) for name in _ANSWERS)
