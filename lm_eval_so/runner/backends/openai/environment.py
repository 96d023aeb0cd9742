"""Reads who asks and how the server is reached: from the options and from the environment, once.

White space around a value is dropped: a file with variables that was written on Windows leaves a CR
at the end of each. What would not be used is not looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from lm_eval_so.runner.backends.http.address import endpoint_fault, in_quotes, shown
from lm_eval_so.runner.backends.http.environment import connect_to
from lm_eval_so.runner.backends.http.header import checked_header, parse_headers, value_fault
from lm_eval_so.runner.backends.openai.options import PATH, as_list
from lm_eval_so.runner.errors import BackendSetupError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lm_eval_so.runner.backends.http.connection import Connection
    from lm_eval_so.runner.backends.openai.options import OpenAIOptions

DEFAULT_BASE_URL = "https://api.openai.com/v1"
_HEADERS = "OPENAI_CUSTOM_HEADERS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who asks.

    Attributes:
        credential: What authorises: the key, or ``user:password`` where `by_userinfo`.
        by_userinfo: The address holds a user name, which is sent in place of a key.
        organization: OpenAI's; None is not sent.
        project: OpenAI's; None is not sent.
    """

    credential: str = field(repr=False)
    by_userinfo: bool
    organization: str | None
    project: str | None

    @property
    def secrets(self) -> list[str]:
        """What must not be written anywhere."""
        found = [self.credential]
        if self.by_userinfo:
            found.append(self.credential.partition(":")[2])
        return found


def read_connection(
    options: OpenAIOptions,
    environ: Mapping[str, str],
    system_proxies: Callable[[str], Mapping[str, str]] = lambda _: {},
) -> Connection:
    """What the options and the environment say of one server; an option wins over its variable.

    Raises:
        BackendSetupError: Something cannot be sent; the sentence names the variable or the option.
    """
    query = {
        name: _opened(value) for name, value in options.default_query.items() if value is not None
    }
    headers = _headers(options, environ)
    return connect_to(_url(options, environ), environ, system_proxies, headers=headers, query=query)


def read_account(options: OpenAIOptions, environ: Mapping[str, str]) -> Account:
    """What the options and the environment say of one account; an option wins over its variable.

    Raises:
        BackendSetupError: As `read_connection`.
    """
    userinfo = urlsplit(_url(options, environ)).netloc.rpartition("@")[0]
    return Account(
        credential=unquote(userinfo) if userinfo else _key(options, environ),
        by_userinfo=bool(userinfo),
        organization=_value("organization", options.organization, "OPENAI_ORG_ID", environ),
        project=_value("project", options.project, "OPENAI_PROJECT_ID", environ),
    )


def _url(options: OpenAIOptions, environ: Mapping[str, str]) -> str:
    if given := as_list(options.base_url):
        return given[0]
    url = environ.get("OPENAI_BASE_URL", "").strip()
    if url and (fault := endpoint_fault(url, PATH)):
        raise BackendSetupError(f"the variable OPENAI_BASE_URL {fault}{shown(url)}")
    return url or DEFAULT_BASE_URL


def _key(options: OpenAIOptions, environ: Mapping[str, str]) -> str:
    given = options.api_key.get_secret_value() if options.api_key else None
    variable = as_list(options.api_key_env)[0]
    key = (given or environ.get(variable) or "").strip()
    if not key:
        raise BackendSetupError(
            f"no API key: set the variable {variable} (to any text, for a server that "
            "asks for none), or name another one with backend.options.api_key_env=NAME"
        )
    if fault := _key_fault(key):
        source = "backend.options.api_key" if given else f"the variable {variable}"
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


def _headers(options: OpenAIOptions, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Names and values; the last of a name is the one that counts."""
    for name, text in parse_headers(environ.get(_HEADERS, "")).items():
        yield checked_header(name, text, f"the variable {_HEADERS}")
    for name, value in options.default_headers.items():
        source = f"backend.options.default_headers[{name!r}]"
        yield checked_header(name, _opened(value).strip(), source)


def _opened(value: SecretStr | str) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else value
