"""Changes values that cannot be written as JSON as little as possible, so that they can."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

DEEPEST = 64
"""Levels of nesting that are kept unchanged: no known real answer has more than a dozen.

Pydantic writes 255 and reads 200; orjson writes 254.
"""

_LEAST_INT, _MOST_INT = -(2**63), 2**64 - 1  # what orjson takes
_SHOWN = 1000  # characters of a value that is not JSON


def sanitise_text(text: str) -> str:
    """The same text with halves of characters joined; a single half becomes U+FFFD.

    JSON can escape the two halves (surrogates) of a character outside the BMP separately, and a
    stream may cut between them; a single half cannot be written as UTF-8.
    """
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def sanitise_json(value: object, deepest: int = DEEPEST) -> Any:  # noqa: ANN401 - any JSON value
    """The same value as plain JSON data.

    Texts go through `sanitise_text`. NaN and the infinities become text, as in the JSON form of
    Protocol Buffers; integers above 64 bits become floats, as orjson reads them. Values nested
    deeper than ``deepest`` levels, and values that are not JSON, become text too.
    """
    whole: object
    match value:
        case str():
            whole = sanitise_text(value)
        case None | bool():
            whole = value
        case int():
            whole = value if _LEAST_INT <= value <= _MOST_INT else _large(value)
        case float():
            whole = value if math.isfinite(value) else _not_finite(value)
        case Mapping() | list() | tuple() if deepest <= 0:
            whole = _as_text(value)
        case Mapping():
            pairs = value.items()
            whole = {sanitise_text(str(k)): sanitise_json(v, deepest - 1) for k, v in pairs}
        case list() | tuple():
            whole = [sanitise_json(item, deepest - 1) for item in value]
        case _:
            whole = sanitise_text(repr(value)[:_SHOWN])
    return whole


def _large(value: int) -> float | str:
    try:
        return float(value)
    except OverflowError:
        return "Infinity" if value > 0 else "-Infinity"


def _not_finite(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _as_text(value: object) -> str:
    """As JSON text, if it is not too deep for that."""
    try:
        return sanitise_text(json.dumps(value, ensure_ascii=False))
    except (RecursionError, TypeError, ValueError):
        return "(nested too deep)"
