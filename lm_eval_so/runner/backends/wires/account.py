"""Reads keys, addresses and headers from options and from the environment.

White space around a value is dropped: a file with variables that was written on Windows leaves a CR
at the end of each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import BeforeValidator, SecretStr

from lm_eval_so.runner.backends.http.address import endpoint_fault, in_quotes, shown
from lm_eval_so.runner.backends.http.header import checked_header, parse_headers
from lm_eval_so.runner.errors import BackendSetupError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


def _as_sent(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


QueryValue = Annotated[SecretStr | str, BeforeValidator(_as_sent)]
"""``true`` and ``false`` as the SDKs write them into a query."""


def read_url(
    given: str | None, variable: str, environ: Mapping[str, str], paths: Iterable[str]
) -> str | None:
    """The address of a server; None where neither the option nor the variable gives one.

    Args:
        given: ``backend.options.base_url``, checked already.
        variable: Its name.
        environ: The variables in force.
        paths: What is added to the address, and must not be in it.

    Raises:
        BackendSetupError: The variable holds no address.
    """
    if given:
        return given
    url = environ.get(variable, "").strip()
    for path in paths if url else ():
        if fault := endpoint_fault(url, path):
            raise BackendSetupError(f"the variable {variable} {fault}{shown(url)}")
    return url or None


def read_key(given: SecretStr | None, variable: str, environ: Mapping[str, str]) -> str:
    """The key, from ``backend.options.api_key`` or the variable.

    Raises:
        BackendSetupError: There is none, or it is no key.
    """
    typed = given.get_secret_value() if given else None
    key = (typed or environ.get(variable) or "").strip()
    if not key:
        raise BackendSetupError(
            f"no API key: set the variable {variable} (to any text, for a server that "
            "asks for none), or name another one with backend.options.api_key_env=NAME"
        )
    if fault := _key_fault(key):
        source = "backend.options.api_key" if typed else f"the variable {variable}"
        raise BackendSetupError(f"the API key in {source} {fault}")
    return key


def key_words(given: SecretStr | None, variable: str) -> str:
    """Where the key is from, for what a person can do about it."""
    if given:
        return "backend.options.api_key"
    return f"the key in the variable {variable} and its account"


def userinfo_words(endpoint: str) -> str:
    """The same for an address that holds who asks."""
    return f"the user name and the password in the address of {endpoint}"


def read_headers(
    given: Mapping[str, SecretStr | str], variable: str, environ: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Names and values; the last of a name is the one that counts.

    Args:
        given: ``backend.options.default_headers``.
        variable: Holds more of them, one a line.
        environ: The variables in force.

    Raises:
        BackendSetupError: One cannot be sent.
    """
    for name, text in parse_headers(environ.get(variable, "")).items():
        yield checked_header(name, text, f"the variable {variable}")
    for name, value in given.items():
        source = f"backend.options.default_headers[{name!r}]"
        yield checked_header(name, _opened(value).strip(), source)


def read_query(given: Mapping[str, SecretStr | str | None]) -> dict[str, str]:
    """What is sent behind every address."""
    return {name: _opened(value) for name, value in given.items() if value is not None}


def _key_fault(key: str) -> str | None:
    if in_quotes(key):
        return "stands in quotes: leave them out"
    if key.lower().startswith("bearer "):
        return "begins with 'Bearer', which is added to it: leave that out"
    if not (key.isascii() and key.isprintable()):
        return "holds characters no key can have"
    return None


def _opened(value: SecretStr | str) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else value
