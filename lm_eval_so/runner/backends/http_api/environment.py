"""Reads where requests go, and with which headers: from the options and the environment, once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from pydantic import SecretStr

from lm_eval_so.runner.backends.http.address import address_fault, shown
from lm_eval_so.runner.backends.http.environment import connect_to
from lm_eval_so.runner.backends.http.header import checked_header
from lm_eval_so.runner.backends.http_api.context import NAMES
from lm_eval_so.runner.backends.http_api.options import Variable
from lm_eval_so.runner.backends.http_api.template import Template, Text
from lm_eval_so.runner.errors import BackendSetupError, ConfigError
from lm_eval_so.runner.masking.values import looks_like_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lm_eval_so.runner.backends.http.connection import Connection
    from lm_eval_so.runner.backends.http_api.options import HttpOptions

KEY = "backend.options"
_OPEN = "{{"


class Target(NamedTuple):
    """Where requests go.

    Attributes:
        connection: With the headers that are always the same.
        path: Behind its address, where it differs from request to request.
        query: What is added to its query, where that differs.
        headers: Those that differ.
        secrets: Values of variables, beside those that the connection knows.
    """

    connection: Connection
    path: Text | None
    query: Template | None
    headers: Template | None
    secrets: list[str]

    @property
    def endpoint(self) -> str:
        """Where the answers come from, with expressions as they are written."""
        if self.path is None:
            return self.connection.endpoint
        return f"{self.connection.address}{self.path.source}"


def read_target(
    options: HttpOptions,
    environ: Mapping[str, str],
    system_proxies: Callable[[str], Mapping[str, str]] = lambda _: {},
) -> Target:
    """What the options and the variables say.

    Raises:
        ConfigError: The URL or an expression is wrong.
        BackendSetupError: A variable is not set, or something cannot be sent.
    """
    secrets: list[str] = []

    def plain(value: Any, key: str) -> Any:  # noqa: ANN401 - an option
        if isinstance(value, SecretStr):
            return value.get_secret_value()
        if not isinstance(value, Variable):
            return value
        found = _variable(value, key, environ)
        if found is None:
            return None
        secrets.append(found)
        return value.prefix + found

    def all_of(name: str) -> dict[str, Any]:
        given: Mapping[str, Any] = getattr(options, name)
        found = {each: plain(value, f"{KEY}.{name}.{each}") for each, value in given.items()}
        return {each: value for each, value in found.items() if value is not None}

    url, path = _url(plain(options.url, f"{KEY}.url") or "", options.url)
    # An address is no secret; what in its path looks like a key is one, as in a webhook.
    secrets[:] = [word for each in secrets for word in each.split("/") if looks_like_key(word)]
    headers, query = all_of("headers"), all_of("query")
    fixed, changing = _parted(headers)
    fixed_query, changing_query = _parted(query)
    checked = [
        checked_header(name, value.strip(), f"{KEY}.headers[{name!r}]")
        for name, value in fixed.items()
    ]
    return Target(
        connection=connect_to(url, environ, system_proxies, headers=checked, query=fixed_query),
        path=Text(path, NAMES, f"{KEY}.url") if path else None,
        query=Template(changing_query, NAMES, f"{KEY}.query") if changing_query else None,
        headers=Template(changing, NAMES, f"{KEY}.headers") if changing else None,
        secrets=secrets,
    )


def _parted(values: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """What is always the same, and what holds an expression or several values."""
    changing = {
        name: value
        for name, value in values.items()
        if isinstance(value, list) or (isinstance(value, str) and _OPEN in value)
    }
    fixed = {name: _text(value) for name, value in values.items() if name not in changing}
    return fixed, changing


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _variable(value: Variable, key: str, environ: Mapping[str, str]) -> str | None:
    found = environ.get(value.env, "").strip()
    if not found and value.optional:
        return None
    if not found:
        raise BackendSetupError(f"the variable {value.env} is not set; {key} names it")
    return found


def _url(url: str, given: object) -> tuple[str, str]:
    """The address, and what stands behind it from the first expression's part of the path on.

    Raises:
        ConfigError: It is no address.
    """
    url = url.strip()
    start, found, _ = url.partition(_OPEN)
    key = f"the variable {given.env}" if isinstance(given, Variable) else f"{KEY}.url"
    if not found:
        _check(url, key)
        return url, ""
    if "?" in start:
        raise ConfigError(f"{key}: an expression behind '?' belongs into {KEY}.query")
    address = start[: start.rfind("/")]
    if not urlsplit(address).netloc:
        raise ConfigError(f"{key}: the server cannot be an expression; its path can")
    _check(address, key)
    return address, url[len(address) :]


def _check(address: str, key: str) -> None:
    if fault := address_fault(address):
        raise ConfigError(f"{key} {fault}{shown(address)}")
