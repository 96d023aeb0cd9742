"""The identity of a run, and the fingerprint that names its directory."""

import hashlib
import math
from collections.abc import Mapping
from typing import Any

import orjson

from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.models import RunConfig
from lm_eval_so.runner.models.plain_json import plain_json

_EXACT = 2**53  # below this, a float is exactly one integer


def canonical_json(value: object) -> bytes:
    """The same text for the same meaning: sorted keys, no white space, whole floats as integers.

    The rule for numbers is that of RFC 8785, by which ``0`` and ``0.0`` are written alike.

    Raises:
        ConfigError: The value cannot be written as JSON, such as NaN or an integer above 64 bits.
    """
    try:
        return orjson.dumps(_whole(value), option=orjson.OPT_SORT_KEYS)
    except TypeError as error:
        raise ConfigError(
            f"a parameter or option cannot be written as JSON: {_fault(value) or error}"
        ) from error


def _fault(value: object) -> str | None:
    """What is wrong with a value that cannot be written, with its key; None if it is not known."""
    try:
        plain_json(value)
    except ValueError as fault:
        return str(fault)
    return None


def _whole(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_whole(item) for item in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            raise TypeError(f"{value} is not a JSON number")
        return int(value) if value.is_integer() and abs(value) < _EXACT else value
    return value


def identity(
    dataset_id: str,
    config: RunConfig,
    endpoint: str,
    options: Mapping[str, Any],
    variant: str | None = None,
) -> dict[str, Any]:
    """What decides the answers, as plain data.

    Args:
        dataset_id: Id of the dataset. Its content does not count, so that an edited sample is one
            request and not another directory.
        config: The model and its parameters.
        endpoint: The source of the backend's answers.
        options: The backend's options that change the answers.
        variant: Separates runs that differ only in how they are carried out.
    """
    return {
        "dataset": dataset_id,
        "backend": config.backend,
        "endpoint": endpoint,
        "model": config.model,
        "parameters": sent(config.parameters),
        "backend_options": dict(options),
        **({} if variant is None else {"variant": variant}),
    }


def fingerprint(identity: Mapping[str, Any]) -> str:
    """SHA-256 of the identity, in hex."""
    return hashlib.sha256(canonical_json(identity)).hexdigest()


def sent(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that are sent: those that are not None."""
    return {name: value for name, value in parameters.items() if value is not None}
