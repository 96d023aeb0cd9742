"""Removes known secrets from text before it is written or shown."""

import json
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote, quote_plus

import orjson

from lm_eval_so.runner.masking.values import (
    MASK,
    looks_like_key,
    public_address,
    without_issued_keys,
)

_SHORTEST = 4
_LEAST_PART = 12
"""Characters of a partial key that are masked: texts may be cut before they are masked."""


class Redactor:
    """Masks in two strengths, since a key may be any word: ``OPENAI_API_KEY=anything``.

    In foreign text (errors, tracebacks) every known secret is masked. In data, configs and our own
    messages only secrets that look like keys are masked, so that ordinary words stay.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        found = {word for word in secrets if len(word) >= _SHORTEST}
        found |= {form(word) for word in found for form in _FORMS}
        self._words = sorted(found, key=len, reverse=True)
        self._keys = [word for word in self._words if looks_like_key(word)]
        self._in_lines = [word.encode(errors="replace") for word in self._keys]

    def text(self, text: str) -> str:
        """Foreign text, such as an error, without any secret."""
        for word in self._words:
            text = text.replace(word, MASK)
        return self.own_text(text)

    def own_text(self, text: str) -> str:
        """One of our own messages, without secrets that look like keys; ids and models stay."""
        text = self._without_keys(text)
        for word in self._keys:
            text = _without_parts(text, word)
        return without_issued_keys(public_address(text))

    def details(self, value: Any) -> Any:  # noqa: ANN401 - any JSON value
        """`text`, for all texts in the details of an error."""
        return _each_text(value, self.text)

    def data(self, value: Any) -> Any:  # noqa: ANN401 - any JSON value
        """Plain data without the secrets that look like keys."""
        return _each_text(value, self._without_keys) if self._keys else value

    def line(self, line: bytes) -> bytes:
        """The line of a result without keys in its answer; its ids and questions stay."""
        if not any(word in line for word in self._in_lines):
            return line
        fields = orjson.loads(line)
        fields["response"] = self.data(fields["response"])
        return orjson.dumps(fields)

    def _without_keys(self, text: str) -> str:
        for word in self._keys:
            text = text.replace(word, MASK)
        return text


def _in_json(word: str) -> str:
    return json.dumps(word, ensure_ascii=False)[1:-1]


def _in_address(word: str) -> str:
    return quote(word, safe="", errors="replace")


def _in_query(word: str) -> str:
    return quote_plus(word, errors="replace")


_FORMS = (_in_json, _in_address, _in_query)
"""The forms of a secret in text that a server may repeat."""


def _each_text(value: Any, change: Callable[[str], str]) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(str(name)): _each_text(item, change) for name, item in value.items()}
    return (
        [_each_text(item, change) for item in value] if isinstance(value, list | tuple) else value
    )


def _without_parts(text: str, key: str) -> str:
    """The text without the beginnings of a key that was cut."""
    start = key[:_LEAST_PART]
    at = text.find(start)
    while at >= 0:
        end = at + len(start)
        while end < len(text) and text[at : end + 1] == key[: end + 1 - at]:
            end += 1
        text = text[:at] + MASK + text[end:]
        at = text.find(start, at + len(MASK))
    return text
