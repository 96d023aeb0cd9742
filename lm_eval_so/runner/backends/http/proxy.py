"""Which proxy the environment names for an address."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from lm_eval_so.runner.backends.http.address import address_fault, is_ip
from lm_eval_so.runner.errors import BackendSetupError
from lm_eval_so.runner.masking.values import without_userinfo

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_PORTS = {"http": 80, "https": 443}
_SYSTEM = "the proxy settings of this system"


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy for HTTP.

    Attributes:
        url: With the user name and the password, if it asks for them.
        source: Where it is named, such as ``the variable HTTPS_PROXY``.
    """

    url: str = field(repr=False)
    source: str

    @property
    def encrypted(self) -> bool:
        """Whether TLS is spoken with the proxy itself."""
        return self.url.lower().startswith("https:")

    @property
    def place(self) -> tuple[str | None, int]:
        """Host and port."""
        parts = urlsplit(self.url)
        return parts.hostname, parts.port or _PORTS[parts.scheme.lower()]

    @property
    def shown(self) -> str:
        """How it may be written."""
        return f"the proxy {without_userinfo(self.url).rstrip('/')} (named by {self.source})"

    @property
    def secrets(self) -> list[str]:
        """The password, as it is and as it stands in the address."""
        raw = urlsplit(self.url).password or ""
        return [raw, unquote(raw)]


def find_proxy(
    address: str,
    environ: Mapping[str, str],
    system: Callable[[str], Mapping[str, str]] = lambda _: {},
) -> Proxy | None:
    """The proxy for an address, or None.

    The first of ``https_proxy``, ``HTTPS_PROXY``, ``all_proxy`` and ``ALL_PROXY`` decides
    (``http_...`` for an address that starts with http://), unless ``no_proxy`` or ``NO_PROXY``
    names the host. An empty variable in lower case switches off the one in upper case, as with
    curl and requests.

    Args:
        address: Of the server.
        environ: The variables.
        system: See `system_proxies`; asked where no variable names a proxy.

    Raises:
        BackendSetupError: The proxy would be used, and cannot be.
    """
    target = urlsplit(address)
    host = target.hostname or ""
    name, value = _named(environ, target.scheme)
    source = f"the variable {name}"
    if not value:
        settings = system(host)
        value, source = settings.get(target.scheme) or settings.get("all") or "", _SYSTEM
        value = value.strip()
    _, excepted = _variable(environ, "no")
    port = target.port or _PORTS[target.scheme]
    if not value or is_excepted(host, port, excepted):
        return None
    url = value if "://" in value else f"http://{value}"
    fault = _fault(url)
    if fault:
        raise BackendSetupError(f"{source} {fault}")
    return Proxy(url, source)


def is_excepted(host: str, port: int, no_proxy: str) -> bool:
    """Whether a ``NO_PROXY`` list names a host.

    An entry is ``*``, a name (which stands for all names that end with it too, with or without
    ``.`` or ``*.`` before it), an IP address or a network such as ``10.0.0.0/8``; a name or an
    address may have a port. Quotes count as nothing.
    """
    return any(
        _covers(entry, host.lower(), port) for entry in re.split(r"[\s,\"']+", no_proxy.lower())
    )


def _covers(entry: str, host: str, port: int) -> bool:
    if entry in ("", "*"):
        return entry == "*"
    entry = entry.partition("://")[2] or entry
    bare = entry.strip("[]")
    wanted = ""
    if _network(bare) is None:
        bare, wanted = _with_port(entry)
    if wanted and int(wanted) != port:
        return False
    network = _network(bare)
    if network is not None:
        return is_ip(host) and ip_address(host) in network
    name, host = bare.removeprefix("*").strip("."), host.rstrip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _with_port(entry: str) -> tuple[str, str]:
    """A name or an address, and the port behind it or nothing."""
    name, _, port = entry.rpartition(":")
    return (name.strip("[]"), port) if name and port.isdecimal() else (entry, "")


def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _named(environ: Mapping[str, str], scheme: str) -> tuple[str, str]:
    name, value = _variable(environ, scheme)
    return (name, value) if value else _variable(environ, "all")


def _variable(environ: Mapping[str, str], kind: str) -> tuple[str, str]:
    """The name and the value of ``<kind>_proxy``, in whichever case it is set."""
    lower = f"{kind}_proxy"
    name = lower if lower in environ else lower.upper()
    return name, environ.get(name, "").strip()


def _fault(url: str) -> str | None:
    """What is wrong with the proxy's address, without anything of it: it may hold a password."""
    if url.lower().startswith("socks"):
        return (
            "names a SOCKS proxy, which cannot be used: name an http:// proxy, or put the "
            "server's name into NO_PROXY"
        )
    fault = address_fault(url)
    if fault and "@" in url:
        return f"{fault} (signs such as # / ? @ in a password must be percent-encoded)"
    return fault or _userinfo_fault(urlsplit(url))


def _userinfo_fault(parts: SplitResult) -> str | None:
    """RFC 7617: no colon in the user name; and Latin-1, which all proxies take."""
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if ":" in user:
        return "holds a user name with a colon, which no proxy can take"
    try:
        f"{user}{password}".encode("latin-1")
    except UnicodeEncodeError:
        return "holds a user name or a password with characters outside Latin-1"
    return None


def system_proxies(host: str) -> Mapping[str, str]:
    """What macOS or Windows has in its settings for a host, by scheme."""
    return {} if proxy_bypass(host) else getproxies()
