"""What a cell of any format holds, as plain JSON and as parts of a sample."""

import json
import math
from collections.abc import Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from types import UnionType
from typing import Any

from lm_eval_so.runner.dataset.table import is_blank


def plain(value: Any) -> Any:  # noqa: ANN401, PLR0911 - whatever a format yields; a case each
    """The value as JSON data: dates become ISO text, and NaN becomes None, as tables mean it.

    Raises:
        ValueError: It is no data, such as an image.
    """
    match value:
        case None | str() | int():
            return value
        case float():
            return None if math.isnan(value) else value
        case date() | time():  # a datetime is a date
            return value.isoformat()
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case Decimal():
            whole = value == value.to_integral_value() if value.is_finite() else False
            return int(value) if whole else str(value)
        case timedelta():
            return str(value)
        case bytes():
            return _decoded(value)
        case _:
            raise ValueError(f"holds a {type(value).__name__}, which is no text or number")


def is_empty(value: object) -> bool:
    """Whether a cell counts as a missing key."""
    return is_blank(value) or (isinstance(value, float) and math.isnan(value))


def as_text(value: object) -> str:
    """The text that is sent or shown for a cell; numbers as they are written."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping | list):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def as_tags(value: object) -> list[str]:
    """The tags of a cell: a list, a JSON list, or ``a, b``."""
    if isinstance(value, str):
        listed = from_json(value, list)
        value = value.split(",") if listed is None else listed
    items = value if isinstance(value, list) else [value]
    return [as_text(item).strip() for item in items if not is_empty(item)]


def from_json(value: object, kind: type | UnionType) -> Any:  # noqa: ANN401 - of that kind, or None
    """The value if it is of a kind, or JSON text of one; else None."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, kind) else None


def as_messages(value: object, label: str) -> list[Any]:
    """The conversation of a cell, which is called ``label`` in an error.

    Raises:
        ValueError: It is no list, and no JSON text of one.
    """
    messages = from_json(value, list)
    if messages is None:
        example = '[{"role": "user", "content": "..."}]'
        raise ValueError(f"{label} holds no JSON list of messages such as {example}")
    return list(messages)


def _decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise ValueError("holds bytes that are no text") from None
