"""Looks whether a body is what a type of an SDK says: no key too many, none missing.

pydantic passes over keys that a TypedDict does not know, and reads an ``Iterable`` only later.
"""

from __future__ import annotations

import collections.abc
import types
import typing
from functools import cache
from typing import Any, NotRequired, Required

from typing_extensions import get_type_hints, is_typeddict

_WRAPPERS = (Required, NotRequired, typing.Annotated)


def conforms(value: object, kind: Any) -> bool:  # noqa: ANN401 - whatever an SDK annotates with
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in _WRAPPERS or (origin is None and hasattr(kind, "__metadata__")):
        return conforms(value, inner[0])
    if origin in (typing.Union, types.UnionType):
        return any(conforms(value, each) for each in inner)
    if origin is typing.Literal:
        return value in inner
    if is_typeddict(kind):
        return _is_dict(value, kind)
    if kind in (Any, object):
        return True
    return _is_plain(value, origin or kind, inner)


def _is_plain(value: object, kind: Any, inner: tuple[Any, ...]) -> bool:  # noqa: ANN401 - as above
    if kind in (dict, collections.abc.Mapping):
        return isinstance(value, dict) and all(conforms(each, inner[1]) for each in value.values())
    if inner:  # lists, iterables and the SDKs' own sequences
        return isinstance(value, list) and all(conforms(each, inner[0]) for each in value)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(kind, type) and type(value) is kind


@cache
def _fields(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _is_dict(value: object, kind: Any) -> bool:  # noqa: ANN401 - as above
    if not isinstance(value, dict):
        return False
    hints = _fields(kind)
    # ``__required_keys__`` is empty where annotations are text, as in both SDKs.
    required = {name for name, hint in hints.items() if typing.get_origin(hint) is Required}
    known = required <= value.keys() <= hints.keys()
    return known and all(conforms(value[name], hints[name]) for name in value)
