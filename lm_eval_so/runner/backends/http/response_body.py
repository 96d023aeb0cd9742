"""Reads the body of an HTTP answer, whole or in pieces, up to a bound."""

from __future__ import annotations

import asyncio
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from lm_eval_so.runner.backends.http.charset import Utf8Pieces, foreign_charset, in_utf8
from lm_eval_so.runner.backends.http.packed_body import unpacking
from lm_eval_so.runner.errors import AnswerTooLongError, InvalidResponseError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Container, Mapping

    from aiohttp import ClientResponse

_SUCCESS = range(200, 300)
_TURN = 1 << 20
"""Bytes after which the event loop gets a turn: a small body may unpack to a large one."""
_REFUSAL_S = 10.0
"""Seconds for the body of a refusal: its status counts, whatever becomes of the rest."""


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


def wire_errors() -> tuple[type[Exception], ...]:
    """What is raised where a connection breaks, or what comes over it is damaged."""
    import aiohttp  # noqa: PLC0415 - not for --help

    return (aiohttp.ClientError, aiohttp.http.HttpProcessingError, OSError, zlib.error)


class Stream:
    """An HTTP answer whose body is read piece by piece.

    Args:
        answer: Its head is there.
        longest: Bytes of the body, unpacked, that are read at the most.
        answered: Statuses beside the 2xx that are no refusal.
    """

    def __init__(self, answer: ClientResponse, longest: int, answered: Container[int] = ()) -> None:
        self.status = answer.status
        self.headers: Mapping[str, str] = answer.headers
        self._answer = answer
        self._longest = longest
        self._unpacked = unpacking(answer.headers)
        self._charset = foreign_charset(answer.headers)
        self._refused = not self.ok and self.status not in answered
        self._whole: Answer | None = None

    @property
    def ok(self) -> bool:
        """Whether the status is a 2xx."""
        return self.status in _SUCCESS

    def pieces(self) -> AsyncIterator[bytes]:
        """The body in the pieces in which it comes; text is UTF-8.

        Raises:
            AnswerTooLongError: It is longer than allowed; the connection is closed.
            InvalidResponseError: It is packed in a way that was not asked for.
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
        self._unpacked.end()

    async def whole(self) -> Answer:
        """The answer, read to its end.

        Of a refusal, what breaks off, is too long or does not come is cut: the status tells what
        it is.

        Raises:
            AnswerTooLongError: As `pieces`.
        """
        if self._whole is None:
            read: list[bytes] = []
            if self._refused:
                await self._read_refusal(read)
            else:
                await self._read(read)
            body = b"".join(read)
            if self._charset is not None:
                body = in_utf8(body, self._charset)
            self._whole = Answer(self.status, self.headers, body)
        return self._whole

    async def _read(self, read: list[bytes]) -> None:
        async for piece in self._pieces():
            read.append(piece)  # noqa: PERF401 - kept when it breaks off

    async def _read_refusal(self, read: list[bytes]) -> None:
        cut = (AnswerTooLongError, InvalidResponseError, TimeoutError, *wire_errors())
        with suppress(*cut):
            async with asyncio.timeout(_REFUSAL_S):
                await self._read(read)

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
