"""What the body of an error says, in any of the shapes that servers give it."""

from __future__ import annotations

from typing import Any, NamedTuple

from lm_eval_so.runner.backends.http.error_sentence import by_plain_name, json_in, sentence_in
from lm_eval_so.runner.backends.http.json_body import read_json
from lm_eval_so.runner.backends.http.web_page import is_page, page_words
from lm_eval_so.runner.errors import BackendError

_LONGEST_READ = 20_000  # characters in which words and waits are looked for
_LONGEST_KEPT = 2000  # characters of a body that is no JSON
_IDENTIFIERS = ("code", "type", "status", "status_code", "param")
_DESCRIBES = ("error", "errors", "baseresp", "status", "fault")
"""Names of the object that describes the error: of most, MiniMax, CLOVA, Apigee."""


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
        parts: list[object] = [self.message, *_identifiers(fields)]
        if isinstance(fields.get("metadata"), dict):  # OpenRouter
            parts += fields["metadata"]
        for quoted in _quoted(fields):
            inner = _described(json_in(quoted) or quoted)
            parts += [sentence_in(inner), *_identifiers(inner)]
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
        words = page_words(text) if is_page(text) else sentence_in(text)
        return ErrorBody(words[:_LONGEST_KEPT], {}, text)
    said = error_in_json(parsed, text)
    whole = parsed if isinstance(parsed, str) else text
    return said if said.message else said._replace(message=sentence_in(whole)[:_LONGEST_KEPT])


def error_in_json(parsed: object, text: str = "") -> ErrorBody:
    """The same for a body that was read already; its ``message`` may be empty."""
    fields = _described(parsed)
    message = sentence_in(fields) or (sentence_in(parsed) if isinstance(parsed, dict) else "")
    for reason in map(sentence_in, _quoted(fields)):
        if reason not in message:
            message = f"{message}: {reason}" if message else reason
    return ErrorBody(message, fields, text)


def _described(parsed: object) -> dict[str, Any]:
    """The object that describes the error: one within the body, a list (Gemini), or the body."""
    while isinstance(parsed, list) and parsed:
        parsed = parsed[0]
    if not isinstance(parsed, dict):
        return {}
    names = by_plain_name(parsed)
    for inner in map(names.get, _DESCRIBES):
        first = inner[0] if isinstance(inner, list) and inner else inner
        if isinstance(first, dict) and first:
            return first
    return parsed


def _quoted(fields: dict[str, Any]) -> list[object]:
    """What an error tells of another one that is its reason."""
    metadata = fields.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None  # OpenRouter: the provider's
    return [raw, fields.get("innererror"), json_in(fields.get("message"))]  # Azure; gateways


def _identifiers(fields: dict[str, Any]) -> list[str]:
    return [f"{name}:{fields[name]}" for name in _IDENTIFIERS if fields.get(name)]
