"""An answer as a function returns it, or a program prints it: a text, or a mapping with a text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from lm_eval_so.runner.models import ChatResponse
from lm_eval_so.runner.text.one_line import one_line
from lm_eval_so.runner.text.wording import explain

if TYPE_CHECKING:
    from collections.abc import Mapping

_NOT_TOLD = ("headers", "recorded_headers", "choices", "status_code")
FIELDS = tuple(name for name in ChatResponse.model_fields if name not in _NOT_TOLD)
"""Keys of a mapping that are fields of the answer."""
_OTHER_NAMES = {"content": "text", "reasoning_content": "reasoning", "usage": "tokens"}
"""Those of a message of Chat Completions."""
_TOKENS = {
    "prompt_tokens": "input",
    "input_tokens": "input",
    "completion_tokens": "output",
    "output_tokens": "output",
    "total_tokens": "total",
}
_NO_CONTENT = ("tool_calls", "refusal")
"""With one of these, an answer may have no text."""
_LONGEST_WORDS = 200  # characters that are quoted


def plain_answer(found: Mapping[str, Any]) -> ChatResponse:
    """The answer in a mapping; the keys are those of ChatResponse, or of a message.

    A mapping with other keys, such as the sources of an answer, is kept as ``raw``.

    Raises:
        ValueError: It holds no answer; the words continue "... returned".
    """
    told = _named(found, _OTHER_NAMES)
    if "text" not in told:
        if not any(told.get(name) for name in _NO_CONTENT):
            raise ValueError(f"no 'text', but {_kinds(found)}")
        told["text"] = told.get("refusal") or ""
    fields = {name: told[name] for name in FIELDS if name in told}
    if isinstance(tokens := fields.get("tokens"), dict):
        fields["tokens"] = _named(tokens, _TOKENS)
    if not found.keys() <= {*FIELDS, *_OTHER_NAMES, "role"}:
        fields.setdefault("raw", dict(found))
    try:
        return ChatResponse.model_validate(fields)
    except ValidationError as error:
        wrong = explain(error, "", FIELDS, "the answer")
        raise ValueError(f"what is no answer: {wrong}") from error


def _named(found: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The values by our names; a null tells nothing, and takes no place of another name's value."""
    return {names.get(name, name): value for name, value in found.items() if value is not None}


def _kinds(found: Mapping[str, Any]) -> str:
    names = ", ".join(map(repr, found))
    return one_line(names, _LONGEST_WORDS) if names else "nothing"
