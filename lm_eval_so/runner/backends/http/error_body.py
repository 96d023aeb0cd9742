"""What the body of an error says, in any of the shapes that servers give it."""

from __future__ import annotations

from typing import Any, NamedTuple

from lm_eval_so.runner.backends.http.json_body import read_json
from lm_eval_so.runner.backends.http.web_page import is_page, page_words
from lm_eval_so.runner.errors import BackendError

_LONGEST_READ = 20_000  # characters in which words and waits are looked for
_LONGEST_KEPT = 2000  # characters of a body that is no JSON
_IDENTIFIERS = ("code", "type", "status", "param")
_MESSAGES = ("message", "detail", "error", "msg", "status_msg")
"""Of OpenAI, FastAPI, Ollama, others, MiniMax."""


class ErrorBody(NamedTuple):
    """What the body of an error says.

    Attributes:
        message: The sentence in it, or the title of a page; empty for an empty body.
        fields: The object that describes the error; empty if there is none.
        text: All of it, as far as it is read.
    """

    message: str
    fields: dict[str, Any]
    text: str

    @property
    def details(self) -> dict[str, Any]:
        """What is worth keeping of it."""
        return dict(self.fields) or ({"body": self.text[:_LONGEST_KEPT]} if self.text else {})

    @property
    def words(self) -> str:
        """Where words are looked for: what the server chose to say, not what it may quote."""
        fields = self.fields
        parts: list[object] = [
            self.message,
            *(f"{key}:{fields[key]}" for key in _IDENTIFIERS if fields.get(key)),
        ]
        metadata, inner = fields.get("metadata"), fields.get("innererror")
        if isinstance(metadata, dict):  # OpenRouter
            parts += [metadata.get("raw"), *metadata]
        if isinstance(inner, dict):  # Azure
            parts.append(inner.get("code"))
        details = fields.get("details")
        if isinstance(details, list):  # Gemini
            parts += [key for item in details if isinstance(item, dict) for key in item]
        elif isinstance(details, dict):  # Anthropic
            parts.append(details.get("error_code"))
        return " ".join(str(part) for part in parts if part)


def read_error_body(body: bytes) -> ErrorBody:
    """What a body says that came with no 2xx, or in the place of an answer."""
    text = body[: 4 * _LONGEST_READ].decode(errors="replace")[:_LONGEST_READ]
    try:
        parsed = read_json(body)
    except BackendError:
        return ErrorBody(page_words(text) if is_page(text) else text[:_LONGEST_KEPT], {}, text)
    said = error_in_json(parsed, text)
    return said if said.message else said._replace(message=text[:_LONGEST_KEPT])


def error_in_json(parsed: object, text: str = "") -> ErrorBody:
    """The same for a body that was read already; its ``message`` may be empty."""
    fields = _described(parsed)
    message = next((_sentence(fields[key]) for key in _MESSAGES if fields.get(key)), "")
    return ErrorBody(message, fields, text)


def _described(parsed: object) -> dict[str, Any]:
    """The object that describes the error: within ``error``, a list (Gemini), or the body."""
    if isinstance(parsed, list) and parsed:
        return _described(parsed[0])
    if not isinstance(parsed, dict):
        return {}
    inner = parsed.get("error") or parsed.get("errors") or parsed.get("base_resp")  # MiniMax
    if isinstance(inner, list) and inner:
        inner = inner[0]
    return inner if isinstance(inner, dict) else parsed


def _sentence(value: object) -> str:
    """A message as text; FastAPI's list of what is wrong without what was sent."""
    if isinstance(value, list):
        return "; ".join(_sentence(item) for item in value)
    if isinstance(value, dict) and "msg" in value:
        place = value.get("loc")
        where = ".".join(map(str, place)) if isinstance(place, list) else ""
        return f"{where}: {value['msg']}" if where else str(value["msg"])
    if isinstance(value, dict) and isinstance(value.get("message"), str):
        return str(value["message"])
    return str(value)
