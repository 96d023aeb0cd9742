"""Turns bodies of another charset into UTF-8, which all that reads an answer takes.

What is UTF-8 stays as it is, whatever its header declares: many declare a default of theirs that is
wrong. Where it is not, the declared charset is believed, unless it reads the body worse.
"""

from __future__ import annotations

import codecs
import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_CHARSET = re.compile(r"""charset\s*=\s*["']?([^\s"';,]+)""", re.IGNORECASE)
_WIDER = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "euc_kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
}
"""What browsers take for a charset (https://encoding.spec.whatwg.org): it has all its characters,
and those that servers send under its name."""
_READ_ANYWAY = {"utf-8", "utf-8-sig"}
_NO_CHARSETS = {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"}
"""Codecs of Python's that are none, or that may hide what they say."""


def foreign_charset(headers: Mapping[str, str]) -> str | None:
    """The codec of a charset that is declared; None for UTF-8 and for one that nobody knows."""
    return _codec(headers.get("Content-Type", ""))


@lru_cache(maxsize=64)  # servers mostly send the same header with every answer
def _codec(content_type: str) -> str | None:
    declared = _CHARSET.search(content_type)
    if declared is None:
        return None
    try:
        name = codecs.lookup(declared[1]).name
        b"{}".decode(name)  # a codec from bytes to bytes is refused
    except (LookupError, ValueError):
        return None
    return None if name in _READ_ANYWAY | _NO_CHARSETS else _WIDER.get(name, name)


def in_utf8(body: bytes, charset: str) -> bytes:
    """A whole body, or lines of one, in UTF-8; as it came where the charset reads it no better."""
    if _is_utf8(body):
        return body
    declared = body.decode(charset, "replace")
    return declared.encode() if _flaws(declared) < _flaws(body.decode(errors="replace")) else body


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in body  # as in letters of UTF-16


def _flaws(text: str) -> int:
    return text.count("\ufffd") + text.count("\0")


class Utf8Pieces:
    """The same for a body that comes in pieces, of which no line is waited for longer than needed.

    The first lines that are not UTF-8 decide: all that follows is of the declared charset.

    Args:
        charset: The codec.
    """

    def __init__(self, charset: str) -> None:
        self._charset = charset
        self._decoder: codecs.IncrementalDecoder | None = None
        self._begun: list[bytes] = []  # of a line, until it is known what it is written in

    def feed(self, piece: bytes) -> bytes:
        """What is whole with this piece, in UTF-8."""
        if self._decoder is not None:
            return self._decoder.decode(piece).encode()
        if not self._begun and piece.isascii() and b"\0" not in piece:
            return piece
        lines, end, rest = piece.rpartition(b"\n")
        if not end:
            self._begun.append(rest)
            return b""
        whole = b"".join([*self._begun, lines, end])
        self._begun = [rest] if rest else []
        if in_utf8(whole, self._charset) == whole:
            return whole
        self._decoder = codecs.getincrementaldecoder(self._charset)("replace")
        self._begun = []
        return self._decoder.decode(whole + rest).encode()

    def rest(self) -> bytes:
        """What is left at the end of the body, in UTF-8."""
        if self._decoder is not None:
            return self._decoder.decode(b"", final=True).encode()
        return in_utf8(b"".join(self._begun), self._charset)
