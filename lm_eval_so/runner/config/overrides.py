"""Overrides of the command line whose values are text, kept as they were typed.

Hydra reads ``1e3`` as the number 1000.0, ``1_0`` as 10 and ``True`` as a boolean before anyone
knows that the key takes a name or a path. In quotes they stay text.
"""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Union, get_args, get_origin

from pydantic import BaseModel

from lm_eval_so.runner.config.schema import ComposedConfig

_OVERRIDE = re.compile(r"(\+{0,2}([\w.]+)=)([^'\"\[\]{}()$\\=]+)")
"""A key and plain values, parted by commas; what has quotes or brackets already is left alone."""

_TEXT_OPTIONS = {"base_url", "api_base", "organization", "project", "api_key_env"} | {
    *("model_path", "text", "answers_path"),
}
"""Options of the backends that come with this package; those of others are not known here."""


def as_typed(override: str) -> str:
    """The override, with quotes around values that must stay text: ``model='1e3'``."""
    match = _OVERRIDE.fullmatch(override)
    if match is None or match[2] not in _text_keys():
        return override
    return match[1] + ",".join(map(_as_text, match[3].split(",")))


def _as_text(value: str) -> str:
    value = value.strip()
    needs_quotes = value.startswith("~") or value.lower() in {"true", "false"} or _is_number(value)
    return f"'{value}'" if needs_quotes else value


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


@cache
def _text_keys() -> frozenset[str]:
    options = {f"backend.options.{name}" for name in _TEXT_OPTIONS}
    return frozenset({*_keys_of(ComposedConfig, ""), *options})


def _keys_of(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _keys_of(kind, f"{prefix}{name}.")
        elif _takes_text(kind):
            yield prefix + name


def _takes_text(kind: object) -> bool:
    if get_origin(kind) in (Annotated, Union, UnionType):
        return any(map(_takes_text, get_args(kind)))
    return kind in (str, Path)
