"""Reads who asks and how the server is reached: from the options and from the environment, once.

White space around a value is dropped: a file with variables that was written on Windows leaves a CR
at the end of each. What would not be used is not looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from lm_eval_so.runner.backends.http.environment import connect_to
from lm_eval_so.runner.backends.http.header import value_fault
from lm_eval_so.runner.backends.openai.options import PATHS, as_list
from lm_eval_so.runner.backends.wires.account import read_headers, read_key, read_query, read_url
from lm_eval_so.runner.errors import BackendSetupError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lm_eval_so.runner.backends.http.connection import Connection
    from lm_eval_so.runner.backends.openai.options import OpenAIOptions

DEFAULT_BASE_URL = "https://api.openai.com/v1"
_HEADERS = "OPENAI_CUSTOM_HEADERS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who asks.

    Attributes:
        credential: What authorises: the key, or ``user:password`` where `by_userinfo`.
        key_header: The header that takes the credential; None for ``Authorization: Bearer``.
        by_userinfo: The address holds a user name, which is sent in place of a key.
        organization: OpenAI's; None is not sent.
        project: OpenAI's; None is not sent.
    """

    credential: str = field(repr=False)
    key_header: str | None = None
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
    query = read_query(options.default_query)
    headers = read_headers(options.default_headers, _HEADERS, environ)
    return connect_to(_url(options, environ), environ, system_proxies, headers=headers, query=query)


def read_account(options: OpenAIOptions, environ: Mapping[str, str]) -> Account:
    """What the options and the environment say of one account; an option wins over its variable.

    Raises:
        BackendSetupError: As `read_connection`.
    """
    userinfo = urlsplit(_url(options, environ)).netloc.rpartition("@")[0]
    variable = as_list(options.api_key_env)[0]
    key = "" if userinfo else read_key(options.api_key, variable, environ)
    return Account(
        credential=unquote(userinfo) if userinfo else key,
        key_header=None if userinfo else options.api_key_header,
        by_userinfo=bool(userinfo),
        organization=_value("organization", options.organization, "OPENAI_ORG_ID", environ),
        project=_value("project", options.project, "OPENAI_PROJECT_ID", environ),
    )


def _url(options: OpenAIOptions, environ: Mapping[str, str]) -> str:
    given = next(iter(as_list(options.base_url)), None)
    paths = [path for path in PATHS.values() if path]
    return read_url(given, "OPENAI_BASE_URL", environ, paths) or DEFAULT_BASE_URL


def _value(option: str, given: str | None, variable: str, environ: Mapping[str, str]) -> str | None:
    value = (environ.get(variable, "") if given is None else given).strip()
    if fault := value_fault(value):
        source = f"the variable {variable}" if given is None else f"backend.options.{option}"
        raise BackendSetupError(f"{source} {fault}")
    return value or None
