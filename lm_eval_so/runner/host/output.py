"""Standard output and error, written so that nothing becomes of a run for it.

What is printed never decides what is run, or how it ended: a reader that leaves (``| head``), a
full disk, a closed stream (``>&-``), a terminal that is gone or an encoding without the character
costs the text, and nothing else.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO, cast

from lm_eval_so.runner.masking.visible import visible_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

_STANDARD = (0, 1, 2)


class LastingStream:
    r"""A text stream that takes everything; what cannot be written is dropped.

    A character that the stream's encoding lacks is written as its escape, ``\xb7``.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Writes what can be written; returns the length of the text."""
        with suppress(OSError, ValueError):  # ValueError: it is closed
            try:
                self._stream.write(text)
            except UnicodeEncodeError:
                self._stream.write(_encodable(text, self._stream.encoding))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Writes them all."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Sends on what is buffered, if anybody takes it."""
        with suppress(OSError, ValueError):
            self._stream.flush()

    def isatty(self) -> bool:
        """Whether a person sees it."""
        try:
            return self._stream.isatty()
        except ValueError:  # it is closed
            return False

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else the stream has
        return getattr(self._stream, name)


class _Silence(io.TextIOBase):
    """A stream that nobody has."""

    def write(self, text: str) -> int:
        return len(text)


def lasting(stream: TextIO | None) -> TextIO:
    """The stream so that it lasts; one that was closed from the start is silent."""
    if isinstance(stream, LastingStream):
        return cast("TextIO", stream)
    return cast("TextIO", LastingStream(stream or cast("TextIO", _Silence())))


def keep_output() -> None:
    """Makes the standard streams of this process last until it ends."""
    _fill_closed_descriptors()
    sys.stdout, sys.stderr = lasting(sys.stdout), lasting(sys.stderr)


@contextmanager
def lasting_output() -> Iterator[None]:
    """Makes the standard streams last for a while: the process is somebody else's."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = lasting(sys.stdout), lasting(sys.stderr)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = before


def tell(sentence: object) -> None:
    """A line on stderr."""
    _line(sentence, sys.stderr)


def show(line: object) -> None:
    """A line on stdout."""
    _line(line, sys.stdout)


def _line(line: object, stream: TextIO | None) -> None:
    print(visible_lines(str(line)), file=lasting(stream), flush=True)


def _encodable(text: str, encoding: str | None) -> str:
    encoding = encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _fill_closed_descriptors() -> None:
    """Opens what the caller closed: else the next file, a results file say, would stand there.

    A child process would then write what it has to say into that file.
    """
    for descriptor in _STANDARD:
        try:
            os.fstat(descriptor)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != descriptor:
                os.dup2(null, descriptor)
                os.close(null)
            os.set_inheritable(descriptor, True)  # noqa: FBT003 - takes no keyword
