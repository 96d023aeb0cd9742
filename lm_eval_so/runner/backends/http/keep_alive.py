"""Kept connections: how long they are kept, and which requests are sent again.

A server may close a kept connection just when a request is sent on it. Nobody has read the request
then, so it is sent again at no cost (RFC 9112, 9.3.1). It is sent on a new connection: the server
has probably closed the other kept ones too.
"""

from __future__ import annotations

import socket
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

KEEP_ALIVE_S = 1.5
"""Seconds that an idle connection is kept: less than any server's default.

gunicorn (and uvicorn under it) closes after 2 s, uvicorn, hypercorn and Node after 5, Apache after
5, load balancers after 60, nginx after 75. A shorter time costs little: when connections idle for
longer, few requests are sent.
"""

_AT_ONCE_S = 5.0
"""Seconds. A connection that breaks later was alive: the server was working on the question, and
asking again would cost again."""

_current: ContextVar[Sending | None] = ContextVar("_current", default=None)


class Sending:
    """One request on its way: whether it may be sent again if its connection breaks."""

    __slots__ = ("_began", "_clock", "_fresh")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._fresh = False

    @property
    def lost(self) -> bool:
        """Whether a connection that broke just now was kept, and closed before it was used."""
        return not self._fresh and self._clock() - self._began <= _AT_ONCE_S

    def watch(self) -> Sending:
        """Makes `new_socket` tell this one of sockets opened in the context of its caller."""
        _current.set(self)
        return self

    def opened(self) -> None:
        """A connection was opened for it."""
        self._fresh = True


def new_socket(address: tuple[Any, ...]) -> socket.socket:
    """A ``socket_factory`` for aiohttp, which tells in no cheaper way that a connection is new."""
    sending = _current.get()
    if sending is not None:
        sending.opened()
    family, kind, protocol, *_ = address
    return socket.socket(family=family, type=kind, proto=protocol)
