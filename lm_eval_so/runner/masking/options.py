"""Hides, shows and finds secrets in backend options and other mappings of the config."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import SecretStr

from lm_eval_so.runner.masking.names import (
    VARIABLE,
    WAYS_TO_A_KEY,
    holds_headers,
    holds_query,
    is_secret_name,
    is_secret_parameter,
    names_variable,
)
from lm_eval_so.runner.masking.values import (
    MASK,
    is_no_variable,
    looks_like_key,
    public_address,
    secrets_in_address,
)

_CONCEALED_HEADERS = {"default_headers", "extra_headers"}
_OF_A_VARIABLE = {VARIABLE, "prefix", "optional"}
"""Keys of what names a variable; a mapping with others is one of values."""


def concealed(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with a SecretStr for each secret, so that no print shows it by accident."""
    return {
        name: {header: _secret(value) for header, value in item.items()}
        if name in _CONCEALED_HEADERS and isinstance(item, Mapping)
        else _concealed(name, item)
        for name, item in options.items()
    }


def opened(value: Any) -> Any:  # noqa: ANN401 - any option
    """The value with its secrets in plain text, to be sent."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Mapping):
        return {name: opened(item) for name, item in value.items()}
    return [opened(item) for item in value] if isinstance(value, list) else value


def public_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that may be written: without secrets, and only with the names of headers."""
    return {
        name: dict.fromkeys(item, MASK)
        if holds_headers(name) and isinstance(item, Mapping)
        else _public(name, item)
        for name, item in _without_secrets(options).items()
    }


def identity_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that may identify a run: without concealed values."""
    return {
        name: _identity(name, item)
        for name, item in options.items()
        if isinstance(item, Mapping) or name in _without_secrets({name: item})
    }


def with_plain_headers(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with plain text for the headers whose names are not those of secrets.

    They are part of the identity of a backend whose options have no model.
    """
    return {
        name: {
            header: value if is_secret_name(header) else opened(value)
            for header, value in item.items()
        }
        if name in _CONCEALED_HEADERS and isinstance(item, Mapping)
        else item
        for name, item in options.items()
    }


def shown(value: Any, name: str = "") -> Any:  # noqa: ANN401 - any part of a config
    """A part of a config that may be written: with ``***`` for each secret."""
    if isinstance(value, SecretStr) or (is_secret_name(name) and value not in (None, "")):
        return MASK
    if holds_headers(name) and value:
        return dict.fromkeys(value, MASK) if isinstance(value, Mapping) else MASK
    if isinstance(value, Mapping):
        return {
            key: MASK if holds_query(name) and is_secret_parameter(key) else shown(item, key)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [shown(item, name) for item in value]
    return _shown_text(name, value) if isinstance(value, str) else value


def secrets_in(options: Mapping[str, Any]) -> Iterator[str]:
    """Every secret in the options: values, passwords, and variables named by ``*_env``."""
    for name, value in options.items():
        if names_variable(name) and not isinstance(value, Mapping):
            for variable in value if isinstance(value, list) else [value]:
                yield os.environ.get(str(variable), "")
        elif name == WAYS_TO_A_KEY and isinstance(value, Mapping):
            yield from _secrets_of(_with_plain_words(value))
        elif is_secret_name(name) or holds_headers(name):
            yield from _secrets_of(concealed_all(value))
        else:
            yield from _secrets_of(value)


def concealed_all(value: Any) -> Any:  # noqa: ANN401 - any option
    """The value with a SecretStr for every text and number in it but the names of variables."""
    if isinstance(value, Mapping) and VARIABLE in value and value.keys() <= _OF_A_VARIABLE:
        return value
    if isinstance(value, Mapping):
        return {name: concealed_all(item) for name, item in value.items()}
    return [concealed_all(item) for item in value] if isinstance(value, list) else _secret(value)


def _with_plain_words(value: Any) -> Any:  # noqa: ANN401 - any option
    """The value with a SecretStr for all that looks like a key, as in ``client_secret=...``."""
    if isinstance(value, Mapping):
        return {name: _with_plain_words(item) for name, item in concealed(value).items()}
    if isinstance(value, list):
        return [_with_plain_words(item) for item in value]
    is_key = isinstance(value, str) and looks_like_key(value.rpartition("=")[2])
    return SecretStr(value.rpartition("=")[2]) if is_key else value


def _concealed(name: str, value: object) -> object:
    if isinstance(value, Mapping):
        return concealed(value)
    if isinstance(value, list):
        return [_concealed(name, item) for item in value]
    return _secret(value) if is_secret_name(name) else value


def _secret(value: object) -> object:
    """A key may be a number, because YAML reads it as one."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return value
    return SecretStr(str(value))


def _without_secrets(options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in options.items()
        if not isinstance(value, SecretStr) and (value is None or not is_secret_name(name))
    }


def _public(name: str, value: object) -> object:
    if isinstance(value, Mapping):
        return public_options(_without_parameters(name, value))
    if isinstance(value, list):
        return [_public(name, item) for item in value if not isinstance(item, SecretStr)]
    return _shown_text(name, value) if isinstance(value, str) else value


def _identity(name: str, value: object) -> object:
    if isinstance(value, Mapping):
        return identity_options(_without_parameters(name, value))
    if isinstance(value, list):
        return [_identity(name, item) for item in value if not isinstance(item, SecretStr)]
    return public_address(value) if isinstance(value, str) else value


def _without_parameters(name: str, value: Mapping[str, Any]) -> Mapping[str, Any]:
    if not holds_query(name):
        return value
    return {key: item for key, item in value.items() if not is_secret_parameter(key)}


def _shown_text(name: str, text: str) -> str:
    return MASK if names_variable(name) and is_no_variable(text) else public_address(text)


def _secrets_of(value: object) -> Iterator[str]:
    if isinstance(value, SecretStr):
        secret = value.get_secret_value()
        yield secret
        yield from secret.split()[1:]  # the token of "Bearer <token>"
    elif isinstance(value, Mapping):
        yield from secrets_in(value)
    elif isinstance(value, list):
        for item in value:
            yield from _secrets_of(item)
    elif isinstance(value, str):
        yield from secrets_in_address(value)
