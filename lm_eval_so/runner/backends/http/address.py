"""What an address must look like before anything is sent to it."""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

_QUOTES = "\"'`\u2018\u2019\u201c\u201d"
_SCHEMES = ("http", "https")
_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_NUMBERS = re.compile(r"[0-9.]+")
"""A host that is an IPv4 address; resolvers take short ones such as 127.1, and aiohttp does not."""
_OF_SECRETS = "@?="  # userinfo, or a query with a key


def address_fault(address: str) -> str | None:
    """What is wrong with an address, without anything of it; None if nothing is.

    The words continue a sentence: ``the variable NAME`` or ``backend.options.base_url``.
    """
    if not address:
        return "is empty"
    if in_quotes(address):
        return "stands in quotes: leave them out"
    if not address.isprintable() or " " in address:
        return "holds a space, a line break or another character that no address can have"
    if address.partition("://")[0].lower() not in _SCHEMES:
        return "must start with http:// or https://"
    return _parts_fault(address)


def endpoint_fault(address: str, path: str) -> str | None:
    """The same for the address of a server, to which the path is added."""
    if fault := address_fault(address):
        return fault
    if urlsplit(address).path.rstrip("/").endswith(path):
        return f"must end before {path}, which is added to it"
    return None


def in_quotes(value: str) -> bool:
    """Whether a value stands in quotes, as in a file that a shell did not read."""
    return bool(value) and (value[0] in _QUOTES or value[-1] in _QUOTES)


def shown(address: str) -> str:
    """``, got '...'`` for the end of a sentence; nothing where the address may hold a secret."""
    return "" if any(sign in address for sign in _OF_SECRETS) else f", got {address!r}"


def _parts_fault(address: str) -> str | None:
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError:  # brackets that hold no IPv6 address
        return "names no valid host"
    if not host or not _is_host(host):
        return "names no valid host"
    if _NUMBERS.fullmatch(host) and not is_ip(host):
        return "names no valid IPv4 address: four numbers from 0 to 255, such as 127.0.0.1"
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        return "names no valid port: a number from 1 to 65535"
    return "has a part after '#', which is never sent" if parts.fragment else None


def _is_host(host: str) -> bool:
    if ":" in host:
        return is_ip(host.partition("%")[0])
    try:
        return _NAME.fullmatch(host.encode("idna").decode()) is not None
    except UnicodeError:  # an empty label, or one above 63 characters
        return False


def is_ip(host: str) -> bool:
    """Whether the host is an IP address and no name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
