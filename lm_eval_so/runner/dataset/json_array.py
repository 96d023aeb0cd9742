"""A JSON array of records, read element by element; lines of JSON too, as many tools write them."""

import json
from codecs import getincrementaldecoder
from collections.abc import Iterator
from typing import IO

from lm_eval_so.runner.dataset.base import FileReader, Record
from lm_eval_so.runner.dataset.hints import encoding_of
from lm_eval_so.runner.dataset.jsonl import JsonlReader
from lm_eval_so.runner.dataset.lines import is_utf_8
from lm_eval_so.runner.errors import DatasetError

_CHUNK = 1 << 16  # bytes, and characters
_START = 256  # bytes
_BEFORE = b"\xef\xbb\xbf\xff\xfe \t\r\n"
"""Byte order marks and white space."""
_SPACE = " \t\r\n"


class JsonReader(FileReader):
    """Holds one element at a time; the place of a record is the line on which it begins."""

    def records(self, file: IO[bytes]) -> Iterator[Record]:
        """The elements of the array.

        Raises:
            DatasetError: It is no array of valid JSON.
        """
        start: bytes = file.peek(_START)  # type: ignore[attr-defined]  # of every buffered file
        if start.replace(b"\x00", b"").lstrip(_BEFORE)[:1] == b"[":
            return _Elements(_chunks(file, self.config.encoding), self.name).records()
        return JsonlReader(self.path, self.config).records(file)


def _chunks(file: IO[bytes], encoding: str | None) -> Iterator[str]:
    decode = getincrementaldecoder(encoding or "utf-8")().decode
    while chunk := file.read(_CHUNK):
        try:
            yield decode(chunk)
        except UnicodeDecodeError as error:
            raise ValueError(_not_in(encoding, chunk)) from error


def _not_in(encoding: str | None, chunk: bytes) -> str:
    if not is_utf_8(encoding):
        return f"not {encoding}"
    looks = encoding_of(chunk)
    return f"not UTF-8 (looks like {looks}); type dataset.encoding={looks.lower()}"


class _Elements:
    """The elements of one array in a stream of text."""

    def __init__(self, chunks: Iterator[str], name: str) -> None:
        self._chunks, self._name = chunks, name
        self._text, self._at, self._line = "", 0, 1
        self._ended = False
        self._decode = json.JSONDecoder(parse_int=float).raw_decode  # an int has a longest length

    def records(self) -> Iterator[Record]:
        self._take("[")
        if self._next() == "]":
            return
        while True:
            self._next()
            where = f"{self._name}:{self._line}"
            yield Record(where, self._element())
            if self._next() == "]":
                self._at += 1
                break
            self._take(",")
        if rest := self._next():
            raise DatasetError(f"{self._name}:{self._line}: {rest!r} follows the end of the array")

    def _element(self) -> bytes:
        """The text of the element that begins here, as it is in the file."""
        wanted = _CHUNK
        while True:
            try:
                _, end = self._decode(self._text, self._at)
            except RecursionError as error:
                raise DatasetError(f"{self._name}:{self._line}: nested too deep") from error
            except json.JSONDecodeError as error:
                if self._ended:
                    line = self._line + self._text.count("\n", self._at, error.pos)
                    raise DatasetError(
                        f"{self._name}:{line}: not valid JSON: {error.msg}"
                    ) from error
                wanted *= 2  # so that a long element is parsed a few times only
                self._fill(wanted)
                continue
            if end == len(self._text) and not self._ended:  # a number may go on
                self._fill(end - self._at + 1)
                continue
            element = self._text[self._at : end]
            self._pass(end)
            return element.encode(errors="surrogatepass")

    def _take(self, sign: str) -> None:
        found = self._next()
        if found != sign:
            shown = repr(found) if found else "the end of the file"
            raise DatasetError(
                f"{self._name}:{self._line}: not valid JSON: expected {sign!r}, found {shown}"
            )
        self._at += 1

    def _next(self) -> str:
        """The next character that is no white space; empty at the end."""
        while True:
            rest = self._at
            while rest < len(self._text) and self._text[rest] in _SPACE:
                rest += 1
            self._pass(rest)
            if rest < len(self._text):
                return self._text[rest]
            if self._ended:
                return ""
            self._fill(_CHUNK)

    def _pass(self, end: int) -> None:
        self._line += self._text.count("\n", self._at, end)
        self._at = end

    def _fill(self, wanted: int) -> None:
        """Reads on until so many characters are ahead, and drops those behind."""
        parts = [self._text[self._at :]]
        length = len(parts[0])
        while length < wanted:
            try:
                chunk = next(self._chunks, None)
            except ValueError as error:
                raise DatasetError(f"{self._name}:{self._line}: {error}") from error
            if chunk is None:
                self._ended = True
                break
            parts.append(chunk.removeprefix("\ufeff"))
            length += len(parts[-1])
        self._text, self._at = "".join(parts), 0
