"""Values from Python and YAML as plain JSON data."""

import math
from collections.abc import Mapping
from typing import Annotated, Any

import orjson
from pydantic import BeforeValidator, SecretStr

_LEAST, _MOST = -(2**63), 2**64 - 1


def plain_json(value: Any, place: str = "") -> Any:  # noqa: ANN401 - any value
    """The same as JSON data: numbers of numpy become Python's, dates become text. Secrets stay.

    Args:
        value: Whatever was given.
        place: Its key, for the error.

    Raises:
        ValueError: It has no form in JSON: NaN, an integer above 64 bits, an object; or it holds
            itself.
    """
    try:
        return _plain(value, place)
    except RecursionError:
        raise ValueError("holds itself, or is nested too deep") from None


def _plain(value: Any, place: str) -> Any:  # noqa: ANN401 - as above
    if isinstance(value, Mapping):
        return {_name(key, place): _plain(item, _in(place, key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, _in(place, number)) for number, item in enumerate(value)]
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{place} is {value}, for which JSON has no number")
        return float(value)
    if value is None or isinstance(value, bool | SecretStr):
        return value
    if isinstance(value, int) and not _LEAST <= value <= _MOST:
        raise ValueError(f"{place} is an integer above 64 bits; put it in quotes if it is an id")
    try:
        return orjson.loads(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY))
    except TypeError:
        fault = "text with half of a character" if isinstance(value, str) else "no text or number"
        kind = type(value).__name__
        raise ValueError(f"{place} is {fault}, and cannot be written as JSON ({kind})") from None


def _in(place: str, key: object) -> str:
    return f"{place}.{key}" if place else str(key)


def _name(key: object, place: str) -> str:
    if isinstance(key, bool) or not isinstance(key, str | int | float):
        raise ValueError(f"{_in(place, key)} is no name of a value: it must be text")  # noqa: TRY004 - as the others
    return str(key)


JsonObject = Annotated[dict[str, Any], BeforeValidator(plain_json)]
"""A mapping that can be written as JSON."""
