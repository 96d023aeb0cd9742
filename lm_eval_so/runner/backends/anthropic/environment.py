"""Reads who asks and how the server is reached: from the options and from the environment, once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from lm_eval_so.runner.backends.anthropic.options import PATHS
from lm_eval_so.runner.backends.http.environment import connect_to
from lm_eval_so.runner.backends.wires.account import read_headers, read_key, read_query, read_url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lm_eval_so.runner.backends.anthropic.options import AnthropicOptions
    from lm_eval_so.runner.backends.http.connection import Connection

DEFAULT_BASE_URL = "https://api.anthropic.com"
BASE_URL_VARIABLE = "ANTHROPIC_BASE_URL"
_HEADERS = "ANTHROPIC_CUSTOM_HEADERS"
_TOKEN = "ANTHROPIC_AUTH_TOKEN"  # noqa: S105 - the name of a variable


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who asks.

    Attributes:
        credential: A key, a token, or ``user:password`` of the address.
        variable: Where a key is looked for.
        by_userinfo: Whether the address holds a user name, which is sent in place of a key.
    """

    credential: str = field(repr=False)
    variable: str
    by_userinfo: bool

    @property
    def by_token(self) -> bool:
        """Whether it is a token and no key: the SDK tells them apart."""
        return self.variable == _TOKEN

    @property
    def secrets(self) -> list[str]:
        """What must not be written anywhere."""
        found = [self.credential]
        if self.by_userinfo:
            found.append(self.credential.partition(":")[2])
        return found


def read_connection(
    options: AnthropicOptions,
    environ: Mapping[str, str],
    system_proxies: Callable[[str], Mapping[str, str]] = lambda _: {},
) -> Connection:
    """What the options and the environment say; an option wins over its variable.

    Raises:
        BackendSetupError: Something cannot be sent; the sentence names the variable or the option.
    """
    return connect_to(
        _url(options, environ),
        environ,
        system_proxies,
        headers=read_headers(options.default_headers, _HEADERS, environ),
        query=read_query(options.default_query),
    )


def read_account(options: AnthropicOptions, environ: Mapping[str, str]) -> Account:
    """What the options and the environment say; as the SDK, a key wins over a token.

    Raises:
        BackendSetupError: As `read_connection`.
    """
    variable = options.api_key_env
    userinfo = urlsplit(_url(options, environ)).netloc.rpartition("@")[0]
    if userinfo:
        return Account(credential=unquote(userinfo), variable=variable, by_userinfo=True)
    has_key = options.api_key or environ.get(variable, "").strip()
    if not has_key and environ.get(_TOKEN, "").strip():
        variable = _TOKEN
    key = read_key(options.api_key, variable, environ)
    return Account(credential=key, variable=variable, by_userinfo=False)


def _url(options: AnthropicOptions, environ: Mapping[str, str]) -> str:
    return read_url(options.base_url, BASE_URL_VARIABLE, environ, PATHS) or DEFAULT_BASE_URL
