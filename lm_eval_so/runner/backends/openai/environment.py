"""Reads how the server is reached: from the options and from the environment, once."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from pydantic import SecretStr

from lm_eval_so.runner.backends.http.address import endpoint_fault, in_quotes, shown
from lm_eval_so.runner.backends.http.header import header_fault, parse_headers, value_fault
from lm_eval_so.runner.backends.http.proxy import find_proxy
from lm_eval_so.runner.backends.http.tls import check_key_log, named_certificates, trusted
from lm_eval_so.runner.backends.openai.connection import Connection, Query
from lm_eval_so.runner.errors import BackendSetupError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lm_eval_so.runner.backends.openai.options import OpenAIOptions

DEFAULT_BASE_URL = "https://api.openai.com/v1"
_HEADERS = "OPENAI_CUSTOM_HEADERS"


def read_connection(
    options: OpenAIOptions,
    environ: Mapping[str, str],
    system_proxies: Callable[[str], Mapping[str, str]] = lambda _: {},
) -> Connection:
    """What the options and the environment say; an option wins over its variable.

    White space around a value is dropped: a file with variables that was written on Windows leaves
    a CR at the end of each. What would not be used is not looked at.

    Raises:
        BackendSetupError: Something cannot be sent; the sentence names the variable or the option.
    """
    check_key_log(environ)
    url = urlsplit(options.base_url or _base_url(environ))
    userinfo, _, place = url.netloc.rpartition("@")
    address = url._replace(netloc=place, query="", fragment="").geturl().rstrip("/")
    proxy = find_proxy(address, environ, system_proxies)
    encrypted = url.scheme == "https" or (proxy is not None and proxy.encrypted)
    return Connection(
        address=address,
        query=_query(url, options),
        credential=unquote(userinfo) if userinfo else _key(options, environ),
        by_userinfo=bool(userinfo),
        organization=_value("organization", options.organization, "OPENAI_ORG_ID", environ),
        project=_value("project", options.project, "OPENAI_PROJECT_ID", environ),
        headers=_last_of_each(_headers(options, environ, userinfo)),
        proxy=proxy,
        trust=trusted(environ) if encrypted else None,
        certificates=named_certificates(environ),
    )


def _base_url(environ: Mapping[str, str]) -> str:
    address = environ.get("OPENAI_BASE_URL", "").strip()
    if address and (fault := endpoint_fault(address)):
        raise BackendSetupError(f"the variable OPENAI_BASE_URL {fault}{shown(address)}")
    return address or DEFAULT_BASE_URL


def _query(url: SplitResult, options: OpenAIOptions) -> Query:
    """Of the address, then those of the option, which wins where both give a name."""
    given = {
        name: _opened(value) for name, value in options.default_query.items() if value is not None
    }
    in_address = parse_qsl(url.query, keep_blank_values=True)
    return (*(pair for pair in in_address if pair[0] not in given), *given.items())


def _key(options: OpenAIOptions, environ: Mapping[str, str]) -> str:
    given = options.api_key.get_secret_value() if options.api_key else None
    key = (given or environ.get(options.api_key_env) or "").strip()
    if not key:
        raise BackendSetupError(
            f"no API key: set the variable {options.api_key_env} (to any text, for a server that "
            "asks for none), or name another one with backend.options.api_key_env=NAME"
        )
    if fault := _key_fault(key):
        source = "backend.options.api_key" if given else f"the variable {options.api_key_env}"
        raise BackendSetupError(f"the API key in {source} {fault}")
    return key


def _key_fault(key: str) -> str | None:
    if in_quotes(key):
        return "stands in quotes: leave them out"
    if key.lower().startswith("bearer "):
        return "begins with 'Bearer', which is added to it: leave that out"
    if not (key.isascii() and key.isprintable()):
        return "holds characters no key can have"
    return None


def _value(option: str, given: str | None, variable: str, environ: Mapping[str, str]) -> str | None:
    value = (environ.get(variable, "") if given is None else given).strip()
    if fault := value_fault(value):
        source = f"the variable {variable}" if given is None else f"backend.options.{option}"
        raise BackendSetupError(f"{source} {fault}")
    return value or None


def _headers(
    options: OpenAIOptions, environ: Mapping[str, str], userinfo: str
) -> Iterator[tuple[str, str]]:
    """Names and values; the last of a name is the one that counts."""
    if userinfo:
        yield "Authorization", f"Basic {b64encode(_user_and_password(userinfo)).decode()}"
    for name, text in parse_headers(environ.get(_HEADERS, "")).items():
        yield _fit(name, text, f"the variable {_HEADERS}")
    for name, value in options.default_headers.items():
        yield _fit(name, _opened(value).strip(), f"backend.options.default_headers[{name!r}]")


def _user_and_password(userinfo: str) -> bytes:
    """RFC 7617, in UTF-8, with a colon also where there is no password, as httpx sends it."""
    user, _, password = userinfo.partition(":")
    return f"{unquote(user)}:{unquote(password)}".encode()


def _fit(name: str, value: str, source: str) -> tuple[str, str]:
    if fault := header_fault(name, value):
        raise BackendSetupError(f"{source} {fault}")
    return name, value


def _last_of_each(pairs: Iterator[tuple[str, str]]) -> dict[str, str]:
    """One header for a name in any case; the SDK writes its own as ``Authorization``."""
    found = {name.lower(): (name, value) for name, value in pairs}
    if "authorization" in found:
        found["authorization"] = ("Authorization", found["authorization"][1])
    return dict(found.values())


def _opened(value: SecretStr | str) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else value
