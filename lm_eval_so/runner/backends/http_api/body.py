"""A tree of values to the bytes that are sent, and their type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode
from uuid import uuid4

import orjson

from lm_eval_so.runner.backends.http_api.template import as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_FORM = "application/x-www-form-urlencoded"
_FILE = "filename"
_QUOTED = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})
"""In the name of a field or a file: HTML standard, "multipart form data"."""

Format = Literal["json", "form", "multipart"]
Encoded = tuple[bytes, str | None]
"""The bytes, and their type; None for JSON, which the transport says by itself."""


def encoded(tree: Any, how: Format) -> Encoded:  # noqa: ANN401 - JSON
    """The body.

    Args:
        tree: None sends nothing. Forms take names and values; a list is sent as several values of
            its name, and a null is not sent.
        how: ``json``, ``form`` or ``multipart``.

    Raises:
        TypeError: It has no such form, as text with half a character.
    """
    return (b"", None) if tree is None else _ENCODERS[how](tree)


def _json(tree: Any) -> Encoded:  # noqa: ANN401 - JSON
    return orjson.dumps(tree), None


def _form(tree: Mapping[str, Any]) -> Encoded:
    try:
        return urlencode([(name, as_text(value)) for name, value in _pairs(tree)]).encode(), _FORM
    except UnicodeEncodeError as error:
        raise TypeError(str(error)) from error


def _multipart(tree: Mapping[str, Any]) -> Encoded:
    boundary = uuid4().hex
    try:
        parts = [_part(name, value, boundary) for name, value in _pairs(tree)]
    except UnicodeEncodeError as error:
        raise TypeError(str(error)) from error
    end = f"--{boundary}--\r\n".encode()
    return b"".join([*parts, end]), f"multipart/form-data; boundary={boundary}"


def _part(name: str, value: Any, boundary: str) -> bytes:  # noqa: ANN401 - JSON
    """A field; ``{filename, content, content_type}`` is sent as a file."""
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name.translate(_QUOTED)}"'
    if isinstance(value, dict) and _FILE in value:
        file = as_text(value[_FILE]).translate(_QUOTED)
        kind = as_text(value.get("content_type")) or "text/plain; charset=utf-8"
        head += f'; filename="{file}"\r\nContent-Type: {" ".join(kind.split())}'
        value = value.get("content")
    return f"{head}\r\n\r\n{as_text(value)}\r\n".encode()


def _pairs(tree: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        for item in value if isinstance(value, list) else [value]:
            if item is not None:
                yield str(name), item


_ENCODERS: dict[Format, Callable[[Any], Encoded]] = {
    "json": _json,
    "form": _form,
    "multipart": _multipart,
}
