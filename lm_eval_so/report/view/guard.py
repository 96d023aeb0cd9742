"""What requests have to be, and answers say, so that no page of somebody else's reads them."""

import ipaddress
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

if TYPE_CHECKING:
    from aiohttp.web import StreamResponse

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "lm-eval-so",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src data: blob:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
}


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def guard(host: str, names: Iterable[str] = ()) -> Middleware:
    """Lets only GET through, and only under a name that is ours.

    A page of somebody else's can have its own name point to this machine (DNS rebinding): the
    browser would then let it read what is served here, but sends that name as ``Host``.

    Args:
        host: The address that is listened at.
        names: Further names of this machine.
    """
    local = is_loopback(host)
    own = {*_LOOPBACK_NAMES, host, *names}
    if not local:
        own |= {socket.gethostname(), socket.getfqdn()}
    ours = {name.lower() for name in own}

    def is_ours(name: str) -> bool:
        return name in ours or (not local and _is_address(name))

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> "StreamResponse":
        if not is_ours(_name(request.headers.get("Host", ""))):
            answer: StreamResponse = web.Response(
                status=421, text="this server does not go by the name in the Host header\n"
            )
        elif request.method != "GET":
            answer = web.Response(status=405, text="only GET\n", headers={"Allow": "GET"})
        else:
            answer = await _answered(request, handler)
        answer.headers.update(_HEADERS)
        return answer

    return guarded


async def _answered(request: web.Request, handler: Handler) -> "StreamResponse":
    try:
        return await handler(request)
    except web.HTTPException as answer:  # a 404 is one
        plain = web.Response(status=answer.status, text=f"{answer.reason}\n")
        if "Location" in answer.headers:
            plain.headers["Location"] = answer.headers["Location"]
        return plain


def _name(host: str) -> str:
    """The name in a Host header, without port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower() if ":" in host else host.lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
