"""Fields of an answer by JMESPath."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import jmespath
from jmespath.exceptions import JMESPathError

if TYPE_CHECKING:
    from collections.abc import Mapping

_FAULTS = (JMESPathError, TypeError, ValueError, OverflowError, RecursionError)
"""What a search raises: not all functions look at what they are given."""
Paths = dict[str, str | dict[str, str]]
"""JMESPath of each field of an answer, or of each of its parts."""


@cache
def compiled(path: str) -> Any:  # noqa: ANN401 - jmespath has no types
    """The expression, ready to search.

    Raises:
        ValueError: It is none.
    """
    try:
        return jmespath.compile(path)
    except JMESPathError as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path!r} is no JMESPath expression: {reason}") from error


def found_by(paths: Mapping[str, str | dict[str, str]], data: object) -> dict[str, Any]:
    """What each path finds; one that finds nothing, or cannot be followed, is left out."""
    found = {
        name: _search(path, data) if isinstance(path, str) else found_by(path, data)
        for name, path in paths.items()
    }
    return {name: value for name, value in found.items() if value is not None}


def _search(path: str, data: object) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return compiled(path).search(data)
    except _FAULTS:  # a function that does not take what is there
        return None
