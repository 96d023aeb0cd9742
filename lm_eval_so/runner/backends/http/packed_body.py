"""Unpacks the body of an HTTP answer as it comes.

aiohttp could, but gives up the status of an answer whose ``Content-Encoding`` it does not know, and
knows neither gzip's older name nor what is packed without saying so.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, NoReturn, Protocol

from lm_eval_so.runner.errors import InvalidResponseError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

CODINGS = "gzip, deflate"
"""What is asked for."""
_NOT_ASKED_FOR = {"br", "zstd", "compress"}
_GZIP = zlib.MAX_WBITS | 16
_MAGIC = b"\x1f\x8b"
_AT_ONCE = 1 << 18
"""Bytes that are unpacked at once, as aiohttp does for what it unpacks itself."""
_OK = 200


class Unpacking(Protocol):
    """Takes the pieces of a body, and gives what is in them."""

    def __call__(self, piece: bytes, /) -> Iterable[bytes]:
        """What is in a piece."""

    def end(self) -> None:
        """Looks whether all has come.

        Raises:
            zlib.error: The body was cut.
        """


def unpacking(headers: Mapping[str, str]) -> Unpacking:
    """What unpacks the body of an answer with these headers."""
    coding = headers.get("Content-Encoding", "").strip().lower()
    if coding == "deflate":
        return _Deflate()
    if coding in _NOT_ASKED_FOR:
        return _Unknown(coding)
    return _ByLook(twice=bool(coding))


class _ByLook:
    """Unpacks what is gzip by its first bytes: gateways drop the header, pack twice, or not at all.

    Args:
        twice: What comes out may be gzip as well.
    """

    def __init__(self, *, twice: bool) -> None:
        self._start = b""
        self._gzip: _Gzip | None = None
        self._plain = False
        self._inner = _ByLook(twice=False) if twice else None

    def __call__(self, piece: bytes) -> Iterable[bytes]:
        if self._plain:
            return (piece,)
        if self._gzip is None:
            piece = self._start + piece
            if len(piece) < len(_MAGIC) and _MAGIC.startswith(piece):
                self._start = piece
                return ()
            self._plain = not piece.startswith(_MAGIC)
            if self._plain:
                return (piece,)
            self._gzip = _Gzip()
        unpacked = self._gzip(piece)
        return unpacked if self._inner is None else self._again(unpacked, self._inner)

    def _again(self, packed: Iterable[bytes], inner: _ByLook) -> Iterator[bytes]:
        for piece in packed:
            yield from inner(piece)

    def end(self) -> None:
        """Nothing to look at: JSON and events tell whether they are whole."""


class _Gzip:
    """Unpacks gzip, one member after the other; what stands behind them is left out."""

    def __init__(self) -> None:
        self._packed = zlib.decompressobj(wbits=_GZIP)

    def __call__(self, piece: bytes) -> Iterator[bytes]:
        while piece:
            if self._packed.eof:
                if piece[0] != _MAGIC[0]:
                    return
                self._packed = zlib.decompressobj(wbits=_GZIP)
            yield self._packed.decompress(piece, _AT_ONCE)
            piece = self._packed.unused_data if self._packed.eof else self._packed.unconsumed_tail


class _Deflate:
    """Unpacks deflate; many servers leave out the header that belongs to it (RFC 9110, 8.4.1.2)."""

    def __init__(self) -> None:
        self._packed: zlib._Decompress | None = None

    def __call__(self, piece: bytes) -> Iterator[bytes]:
        if self._packed is None and piece:
            has_header = piece[0] & 0xF == zlib.DEFLATED
            self._packed = zlib.decompressobj(zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS)
        while piece and self._packed is not None:
            yield self._packed.decompress(piece, _AT_ONCE)
            piece = self._packed.unconsumed_tail

    def end(self) -> None:
        if self._packed is not None and not self._packed.eof:
            raise zlib.error("the packed body ended too early")


class _Unknown:
    """Refuses what is packed in another way."""

    def __init__(self, coding: str) -> None:
        self._coding = coding

    def __call__(self, _: bytes) -> NoReturn:
        raise InvalidResponseError(
            f"the answer cannot be read: it is packed as {self._coding}, which was not asked for",
            status_code=_OK,
        )

    def end(self) -> None:
        """Nothing came."""
