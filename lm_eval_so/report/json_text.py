"""JSON of whatever stands in a line."""

import json
from typing import Any

import orjson

from lm_eval_so.runner.text.sanitise import sanitise_json


def loads(line: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """The value of a line, which may hold half of a character, or be deep.

    Raises:
        ValueError: It is not JSON.
    """
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return json.loads(line)


def json_bytes(value: object) -> bytes:
    """JSON in UTF-8; half of a character is an escape. What is too deep to write becomes text."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return _dumps(value)


def canonical(value: object) -> bytes:
    """The same bytes for equal values."""
    return _dumps(value, sort_keys=True)


def _dumps(value: object, *, sort_keys: bool = False) -> bytes:
    try:
        return json.dumps(value, allow_nan=False, sort_keys=sort_keys).encode()
    except (RecursionError, ValueError):
        return json.dumps(sanitise_json(value), sort_keys=sort_keys).encode()
