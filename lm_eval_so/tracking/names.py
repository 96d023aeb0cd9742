"""What MLflow takes as names and values, and how anything else is made to fit.

The limits are those of `mlflow.utils.validation`: names of 250 characters out of a small alphabet,
6,000 characters a param, 8,000 a tag, 100 of either a request of 1 MB.
"""

import json
import math
import os
import posixpath
import re
from collections.abc import Collection, Iterator, Mapping
from hashlib import sha256
from itertools import count
from typing import Any, NamedTuple

from lm_eval_so.runner.errors import TrackingError

PARAM_LENGTH, TAG_LENGTH = 6000, 8000
_PARAMS_A_REQUEST = 100
_NAME_LENGTH = 250
_REQUEST_LENGTH = 150_000  # characters; each may take six bytes in JSON, and 1 MB is the limit
_REFUSED = re.compile(r"[^\w\-. :/]" if os.name != "nt" else r"[^\w\-. /]")
_FOLDERS = re.compile(r"(^| )(?:[A-Za-z_][\w-]*\.)+(?=[\w-]+=)")
_CUT = "... (cut: the whole is in the artifact {})"


class Sanitised(NamedTuple):
    """Values that MLflow takes, by name; and by artifact, each name and value that was changed."""

    values: dict[str, str]
    untruncated: dict[str, dict[str, str]]


def flat(nested: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, its names joined by dots; an empty mapping is kept as a value.

    Raises:
        TrackingError: Two values come to the same name.
    """
    found: dict[str, Any] = {}
    for key, value in nested.items():
        name = f"{prefix}{key}"
        more = flat(value, f"{name}.") if isinstance(value, Mapping) and value else {name: value}
        if twice := found.keys() & more.keys():
            raise TrackingError(f"two values are called {twice.pop()!r}")
        found |= more
    return found


def sanitise(values: Mapping[str, Any], longest: int, folder: str) -> Sanitised:
    """Names and values as MLflow takes them; what is cut or renamed is kept whole beside it.

    Args:
        values: Flat. Strings stay as they are, lists become JSON, all else is its ``str``.
        longest: Characters of a value.
        folder: Of the artifacts with what did not fit.
    """
    fitted: dict[str, str] = {}
    untruncated: dict[str, dict[str, str]] = {}
    for key, value in values.items():
        text, name = _text(value), sanitise_name(key, fitted)
        if name != key or len(text) > longest:
            artifact = f"{folder}/{_digest(key)}.json"
            untruncated[artifact] = {"key": key, "value": text}
            if len(text) > longest:
                note = _CUT.format(artifact)
                text = text[: longest - len(note)] + note
        fitted[name] = text
    return Sanitised(fitted, untruncated)


def sanitise_name(key: str, taken: Collection[str] = ()) -> str:
    """The name that MLflow takes for a key: the key itself wherever possible."""
    name = _REFUSED.sub("_", key)
    if posixpath.normpath(name) != name or name.startswith((".", "/")):
        name = name.replace("/", "_").lstrip(".") or "_"  # it would point out of a folder
    if len(name) > _NAME_LENGTH or name in taken:
        name = f"{name[: _NAME_LENGTH - 9]}-{_digest(key)}"
    return name


def numbers(metrics: Mapping[Any, Any]) -> dict[str, float]:
    """Metrics, nested or not, as numbers by name; NaN is a number, and stays one.

    Raises:
        TrackingError: A value is none.
    """
    found: dict[str, float] = {}
    for key, value in flat(metrics).items():
        try:
            found[sanitise_name(key, found)] = float(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise TrackingError(f"metric {key!r} must be a number, got {value!r}") from error
    return found


def batches(values: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The values in pieces that one request takes."""
    batch: dict[str, str] = {}
    size = 0
    for name, value in values.items():
        if len(batch) == _PARAMS_A_REQUEST or size + len(value) > _REQUEST_LENGTH:
            yield batch
            batch, size = {}, 0
        batch[name] = value
        size += len(value)
    if batch:
        yield batch


def cell_name(cell: str) -> str:
    """``temperature=0`` of ``params.temperature=0``: tables of MLflow's cut a name short."""
    return _FOLDERS.sub(r"\1", cell)


def unique(name: str, taken: set[str]) -> str:
    """The name, or else ``name-2``, ``name-3``, ...; it is taken from then on."""
    names = (name if n == 1 else f"{name}-{n}" for n in count(1))
    found = next(candidate for candidate in names if candidate.casefold() not in taken)
    taken.add(found.casefold())
    return found


def same(one: float, other: float) -> bool:
    """Whether two metrics are equal; NaN equals NaN."""
    return one == other or (math.isnan(one) and math.isnan(other))


def _text(value: object) -> str:
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def _digest(key: str) -> str:
    return sha256(key.encode()).hexdigest()[:8]
