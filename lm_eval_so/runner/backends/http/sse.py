"""Reads server-sent events from the bytes of a body, in whatever pieces they come."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_BOM = b"\xef\xbb\xbf"
_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")
_SILENT = (b"", b"id", b"retry")  # a comment, and what is of use to a browser


class Event(NamedTuple):
    """One event; ``name`` is empty where none is given."""

    name: bytes
    data: list[bytes]


def is_event_stream(start: bytes) -> bool:
    """Whether a body that starts like this is a stream of events, by its look alone.

    Servers were seen to send events as ``application/json``, and JSON as ``text/event-stream``.
    """
    return start.removeprefix(_BOM).lstrip().startswith(_FIELDS)


class EventReader:
    """Reads events by the rules of the HTML standard, 9.2.6, and gives the last one too.

    The standard drops an event that no empty line ends. Here `rest` gives it, since some servers
    end their streams so; whether it is whole is for its reader to find out.

    Attributes:
        stray: The last line that is of no event, as of a gateway that has something to say.
    """

    def __init__(self) -> None:
        self._begun: list[bytes] = []  # of a line
        self._after_cr = False
        self._name = b""
        self._data: list[bytes] = []
        self.stray = b""

    def feed(self, piece: bytes) -> Iterator[Event]:
        """The events that are whole with this piece."""
        if self._after_cr:  # it has ended its line already
            piece = piece.removeprefix(b"\n")
        self._after_cr = piece.endswith(b"\r")
        for line in piece.splitlines(keepends=True):
            self._begun.append(line)
            if line.endswith((b"\n", b"\r")):
                yield from self._end_line()

    def rest(self) -> Iterator[Event]:
        """What is left at the end of the body."""
        yield from self._end_line()
        yield from self._end_line()

    def _end_line(self) -> Iterator[Event]:
        line = self._begun[0] if len(self._begun) == 1 else b"".join(self._begun)
        self._begun = []
        return self._take(line.rstrip(b"\r\n"))

    def _take(self, line: bytes) -> Iterator[Event]:
        if not line:
            if self._data:
                yield Event(self._name, self._data)
            self._name, self._data = b"", []
            return
        field, _, value = line.removeprefix(_BOM).partition(b":")
        if field == b"data":
            self._data.append(value.removeprefix(b" "))
        elif field == b"event":
            self._name = value.strip()
        elif field not in _SILENT:
            self.stray = line
