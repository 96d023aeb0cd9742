"""How a server is reached, as plain values that were checked: see `environment`."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from lm_eval_so.runner.masking.names import is_secret_parameter

if TYPE_CHECKING:
    from collections.abc import Mapping
    from ssl import SSLContext

    from lm_eval_so.runner.backends.http.proxy import Proxy

_OWN_DOMAINS = (".local", ".localdomain", ".internal", ".lan", ".home.arpa")

Query = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """What is needed to reach a server, all of it fit to be sent.

    Attributes:
        address: Base URL, such as ``https://host/v1``: without user name, query or a slash at the
            end.
        query: Behind every address.
        headers: Sent with every request.
        proxy: None for a direct connection.
        trust: None for the certificates of the system.
        certificates: The variables that ``trust`` was made of, and what they name.
        password: Of the base URL, which ``headers`` hold encoded.
        connect_s: Seconds for a TCP connection; None leaves it to the timeout of the attempt.
    """

    address: str
    query: Query = field(default=(), repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    proxy: Proxy | None = None
    trust: SSLContext | None = None
    certificates: Mapping[str, str] = field(default_factory=dict)
    password: str | None = field(default=None, repr=False)
    connect_s: float | None = None

    @property
    def endpoint(self) -> str:
        """The address as it may be written, with what in the query is no secret."""
        return self.endpoint_of("")

    def endpoint_of(self, path: str) -> str:
        """The same with a path behind the address."""
        query = urlencode(sorted(pair for pair in self.query if not is_secret_parameter(pair[0])))
        return f"{self.address}{path}{'?' if query else ''}{query}"

    @property
    def encrypted(self) -> bool:
        """Whether TLS is spoken with the server, or with the proxy."""
        return self.address.startswith("https:") or (
            self.proxy is not None and self.proxy.encrypted
        )

    @property
    def hosted(self) -> bool:
        """Whether the address is one of the public internet, by its look."""
        host = urlsplit(self.address).hostname or ""
        try:
            return ip_address(host).is_global
        except ValueError:
            return "." in host and not host.endswith(_OWN_DOMAINS)

    @property
    def secrets(self) -> list[str]:
        """What must not be written anywhere."""
        found = [] if self.proxy is None else self.proxy.secrets
        found += [self.password] if self.password else []
        found += [value for name, value in self.query if is_secret_parameter(name)]
        for text in self.headers.values():
            found += [text, *text.split()[1:]]  # the token of "Bearer <token>"
        return found

    def url(self, path: str) -> str:
        """Where a path behind the address is, with the query."""
        query = urlencode(self.query)
        return f"{self.address}{path}{'?' if query else ''}{query}"
