"""Reads the bytes of an answer as a completion, streamed or not."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Any

from lm_eval_so.runner.backends.http.json_body import read_piece
from lm_eval_so.runner.backends.openai.completion import (
    NO_COMPLETION,
    AnswerOptions,
    not_a_completion,
)
from lm_eval_so.runner.backends.openai.stream import Assembly
from lm_eval_so.runner.backends.wires.stream import StreamReader, named_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lm_eval_so.runner.backends.http.sse import Event
    from lm_eval_so.runner.errors import InvalidResponseError

_DONE = b"[DONE]"
_ERROR = b"error"
_PLAIN = AnswerOptions()


class AnswerReader(StreamReader):
    """Reads an answer as it comes.

    Args:
        options: How it is read.
    """

    problem = NO_COMPLETION

    def __init__(self, options: AnswerOptions = _PLAIN) -> None:
        super().__init__()
        self._assembly = Assembly(options.choices, think_tags=options.think_tags)

    @property
    def head(self) -> dict[str, Any]:
        return self._assembly.head

    @property
    def said(self) -> tuple[bool, bool]:
        return self._assembly.first_said, self._assembly.first_answered

    def take(self, event: Event) -> bool:
        lines = list(takewhile(_is_no_end, event.data))
        for chunk in _chunks(event.name, lines):
            self._assembly.add(chunk)
        return len(lines) < len(event.data)

    def assembled(self) -> object:
        return self._assembly.completion(ended=self.done)


def _is_no_end(line: bytes) -> bool:
    """Some servers write the end in quotes, or in lower case."""
    return line.startswith(b"{") or not line.lstrip(b"\"'").upper().startswith(_DONE)


def _chunks(name: bytes, lines: list[bytes]) -> Iterator[Any]:
    """What an event holds: one chunk, or one in each line where the empty lines are missing.

    Raises:
        InvalidResponseError: It is no JSON, as of a stream that was cut.
        BackendError: It is an error by its name.
    """
    if name.lower() == _ERROR:
        raise named_error(b"\n".join(lines))
    lines = [line for line in lines if line.strip()]
    try:
        yield from [read_piece(b"\n".join(lines))] if lines else ()
    except ValueError as error:
        if len(lines) == 1:
            raise _no_json(lines[0], error) from error
        yield from map(_read, lines)


def _read(line: bytes) -> object:
    try:
        return read_piece(line)
    except ValueError as error:
        raise _no_json(line, error) from error


def _no_json(line: bytes, error: ValueError) -> InvalidResponseError:
    text = line.decode(errors="replace")
    return not_a_completion(f"no JSON in the stream ({error})", text)
