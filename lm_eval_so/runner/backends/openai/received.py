"""HTTP answers: read to their end, or piece by piece."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from aiohttp import ClientResponse

_SUCCESS = range(200, 300)
_GZIP = zlib.MAX_WBITS | 16
_MAGIC = b"\x1f\x8b"


class Answer(NamedTuple):
    """An HTTP answer, read to its end; header names are looked up in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the status is a 2xx."""
        return self.status in _SUCCESS


class Stream:
    """An HTTP answer whose body is read piece by piece."""

    def __init__(self, answer: ClientResponse) -> None:
        self.status = answer.status
        self.headers: Mapping[str, str] = answer.headers
        self._answer = answer
        self._unpacked = _unpacking(answer.headers)

    @property
    def ok(self) -> bool:
        """Whether the status is a 2xx."""
        return self.status in _SUCCESS

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body in the pieces in which it comes."""
        async for piece in self._answer.content.iter_any():
            yield self._unpacked(piece)

    async def whole(self) -> Answer:
        """The answer, read to its end."""
        body = await self._answer.read()
        return Answer(self.status, self.headers, self._unpacked(body))


def _unpacking(headers: Mapping[str, str]) -> Callable[[bytes], bytes]:
    """What unpacks a body: aiohttp does not know gzip's older name (RFC 9110, 8.4.1.3)."""
    if headers.get("Content-Encoding", "").strip().lower() != "x-gzip":
        return _ByLook()
    return zlib.decompressobj(wbits=_GZIP).decompress


class _ByLook:
    """Unpacks what is gzip by its first bytes: gateways drop the header, or pack twice."""

    def __init__(self) -> None:
        self._start = b""
        self._unpack: Callable[[bytes], bytes] | None = None

    def __call__(self, piece: bytes) -> bytes:
        if self._unpack is None:
            piece = self._start + piece
            if _MAGIC.startswith(piece[: len(_MAGIC)]) and len(piece) < len(_MAGIC):
                self._start = piece
                return b""
            packed = piece.startswith(_MAGIC)
            self._unpack = zlib.decompressobj(wbits=_GZIP).decompress if packed else bytes
        return self._unpack(piece)
