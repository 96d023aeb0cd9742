"""Joins the pieces of a streamed answer."""

from __future__ import annotations

import json
from typing import Any

from lm_eval_so.runner.backends.http.numbers import whole_number

_HIGHEST_INDEX = 1000
"""OpenAI allows 128 choices and as many tools; beyond this it is garbage."""

_NAMES = frozenset({"role", "id", "type", "name"})
"""Strings that come whole, and again in some servers' every chunk."""


class NoPieceError(ValueError):
    """Something in a chunk is not what it should be; the message says what."""


def index_of(piece: dict[str, Any]) -> int | None:
    """The index in a piece; None where it is null or not there.

    Raises:
        NoPieceError: It is no index.
    """
    told = piece.get("index")
    index = whole_number(told)
    if told is not None and (index is None or index > _HIGHEST_INDEX):
        raise NoPieceError(f"its index is no number from 0 to {_HIGHEST_INDEX}")
    return index


def append(whole: dict[str, Any], piece: dict[str, Any]) -> None:
    """Adds a piece of a message: text to text, list to list, names once."""
    for key, value in piece.items():
        known = whole.get(key)
        if known is None or value is None:
            whole[key] = known if value is None else value
        elif key in _NAMES:
            whole[key] = value or known
        elif isinstance(value, str) and isinstance(known, str):
            whole[key] = known + value
        elif isinstance(value, dict) and isinstance(known, dict):
            append(known, value)
        elif _is_text_and_number(known, value):  # Workers AI streams digits as numbers
            whole[key] = _in_text(known) + _in_text(value)
        elif isinstance(value, str | list) and isinstance(known, str | list):
            whole[key] = _parts(known) + _parts(value)
        else:
            whole[key] = value


def _is_text_and_number(one: object, other: object) -> bool:
    types = str | int | float
    of_text = isinstance(one, str) or isinstance(other, str)
    return of_text and isinstance(one, types) and isinstance(other, types)


def _in_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _parts(content: str | list[Any]) -> list[Any]:
    return content if isinstance(content, list) else [{"type": "text", "text": content}]


def replace(whole: dict[str, Any], piece: dict[str, Any]) -> None:
    """Notes what a piece says of a whole: the newest that says something; objects are united."""
    for key, value in piece.items():
        known = whole.get(key)
        if isinstance(value, dict) and isinstance(known, dict):
            replace(known, value)
        elif value or not known:
            whole[key] = value
