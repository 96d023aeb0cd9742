"""How a server at an address is reached: with which proxy, certificates, headers and query."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from lm_eval_so.runner.backends.http.connection import Connection, Query
from lm_eval_so.runner.backends.http.proxy import find_proxy
from lm_eval_so.runner.backends.http.tls import check_key_log, named_certificates, trusted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


def connect_to(
    url: str,
    environ: Mapping[str, str],
    system_proxies: Callable[[str], Mapping[str, str]] = lambda _: {},
    *,
    headers: Iterable[tuple[str, str]] = (),
    query: Mapping[str, str] | None = None,
) -> Connection:
    """The connection; nothing is sent yet.

    Args:
        url: Checked with `address_fault`. A query stays a query; a user name and a password are
            sent as Basic authorisation.
        environ: The variables in force.
        system_proxies: See `find_proxy`.
        headers: Checked with `checked_header`; the last of a name, in any case, is sent.
        query: Added to that of the URL; where both give a name, this one is sent.

    Raises:
        BackendSetupError: A proxy or a certificate that is named cannot be used.
    """
    check_key_log(environ)
    parts = urlsplit(url)
    userinfo, _, place = parts.netloc.rpartition("@")
    address = parts._replace(netloc=place, query="", fragment="").geturl().rstrip("/")
    proxy = find_proxy(address, environ, system_proxies)
    basic = [("Authorization", _basic_authorization(userinfo))] if userinfo else []
    connection = Connection(
        address=address,
        query=_query(parts.query, query or {}),
        headers=_last_of_each([*basic, *headers]),
        proxy=proxy,
        certificates=named_certificates(environ),
        password=unquote(userinfo.partition(":")[2]) or None,
    )
    return replace(connection, trust=trusted(environ)) if connection.encrypted else connection


def _basic_authorization(userinfo: str) -> str:
    """RFC 7617, in UTF-8, with a colon also where there is no password, as httpx sends it."""
    user, _, password = userinfo.partition(":")
    return f"Basic {b64encode(f'{unquote(user)}:{unquote(password)}'.encode()).decode()}"


def _query(in_url: str, given: Mapping[str, str]) -> Query:
    pairs = parse_qsl(in_url, keep_blank_values=True)
    return (*(pair for pair in pairs if pair[0] not in given), *given.items())


def _last_of_each(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    return dict({name.lower(): (name, value) for name, value in pairs}.values())
