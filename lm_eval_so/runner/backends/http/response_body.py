"""Reads the body of an HTTP answer, whole or in pieces, up to a bound."""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING, NamedTuple

from lm_eval_so.runner.backends.http.charset import Utf8Pieces, foreign_charset, in_utf8
from lm_eval_so.runner.errors import AnswerTooLongError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping

    from aiohttp import ClientResponse

_SUCCESS = range(200, 300)
_GZIP = zlib.MAX_WBITS | 16
_AT_ONCE = 1 << 18
"""Bytes that are unpacked at once, as aiohttp does for what it unpacks itself."""
_TURN = 1 << 20
"""Bytes after which the event loop gets a turn: a small body may unpack to a large one."""
_MAGIC = b"\x1f\x8b"


class Answer(NamedTuple):
    """An HTTP answer, read to its end; header names are looked up in any case.

    Text of the body is UTF-8, whatever charset the headers declare.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the status is a 2xx."""
        return self.status in _SUCCESS


class Stream:
    """An HTTP answer whose body is read piece by piece.

    Args:
        answer: Its head is there.
        longest: Bytes of the body, unpacked, that are read at the most.
    """

    def __init__(self, answer: ClientResponse, longest: int) -> None:
        self.status = answer.status
        self.headers: Mapping[str, str] = answer.headers
        self._answer = answer
        self._longest = longest
        self._unpacked = _unpacking(answer.headers)
        self._charset = foreign_charset(answer.headers)
        self._whole: Answer | None = None

    @property
    def ok(self) -> bool:
        """Whether the status is a 2xx."""
        return self.status in _SUCCESS

    def pieces(self) -> AsyncIterator[bytes]:
        """The body in the pieces in which it comes; text is UTF-8.

        Raises:
            AnswerTooLongError: It is longer than allowed; the connection is closed.
        """
        if self._whole is not None:
            return _once(self._whole.body)
        return self._pieces() if self._charset is None else self._in_utf8(self._charset)

    async def _in_utf8(self, charset: str) -> AsyncIterator[bytes]:
        recoded = Utf8Pieces(charset)
        async for piece in self._pieces():
            yield recoded.feed(piece)
        yield recoded.rest()

    async def _pieces(self) -> AsyncIterator[bytes]:
        if (self._answer.content_length or 0) > self._longest:
            raise self._too_long()
        read, turn = 0, _TURN
        async for packed in self._answer.content.iter_any():
            for piece in self._unpacked(packed):
                read += len(piece)
                if read > self._longest:
                    raise self._too_long()
                if read > turn:
                    turn = read + _TURN
                    await asyncio.sleep(0)
                yield piece

    async def whole(self) -> Answer:
        """The answer, read to its end.

        Of one that is no success, what is too long is cut: the status tells what it is.

        Raises:
            AnswerTooLongError: As `pieces`.
        """
        if self._whole is None:
            read = []
            try:
                async for piece in self._pieces():
                    read.append(piece)  # noqa: PERF401 - kept when it breaks off
            except AnswerTooLongError:
                if self.ok:
                    raise
            body = b"".join(read)
            if self._charset is not None:
                body = in_utf8(body, self._charset)
            self._whole = Answer(self.status, self.headers, body)
        return self._whole

    def retell(self, headers: Mapping[str, str]) -> None:
        """Gives the answer other headers."""
        self.headers = headers
        if self._whole is not None:
            self._whole = self._whole._replace(headers=headers)

    async def drain(self, longest: int) -> None:
        """Reads what is left, up to so many bytes, so that the connection can be kept."""
        async for piece in self._answer.content.iter_any():
            longest -= len(piece)
            if longest < 0:
                return

    def _too_long(self) -> AnswerTooLongError:
        self._answer.close()
        return AnswerTooLongError(
            f"the answer is longer than runner.max_response_mb ({self._longest / 1e6:g}) allows",
            status_code=self.status,
        )


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


def _unpacking(headers: Mapping[str, str]) -> Callable[[bytes], Iterable[bytes]]:
    """What unpacks a body: aiohttp does not know gzip's older name (RFC 9110, 8.4.1.3)."""
    if headers.get("Content-Encoding", "").strip().lower() != "x-gzip":
        return _ByLook()
    return _gunzip()


class _ByLook:
    """Unpacks what is gzip by its first bytes: gateways drop the header, or pack twice."""

    def __init__(self) -> None:
        self._start = b""
        self._unpacked: Callable[[bytes], Iterable[bytes]] | None = None

    def __call__(self, piece: bytes) -> Iterable[bytes]:
        if self._unpacked is None:
            piece = self._start + piece
            if len(piece) < len(_MAGIC) and _MAGIC.startswith(piece):
                self._start = piece
                return ()
            self._unpacked = _gunzip() if piece.startswith(_MAGIC) else _as_it_is
        return self._unpacked(piece)


def _gunzip() -> Callable[[bytes], Iterable[bytes]]:
    packed = zlib.decompressobj(wbits=_GZIP)

    def unpacked(piece: bytes) -> Iterator[bytes]:
        while piece:
            yield packed.decompress(piece, _AT_ONCE)
            piece = packed.unconsumed_tail

    return unpacked


def _as_it_is(piece: bytes) -> tuple[bytes]:
    return (piece,)
