"""Reads the bytes of an answer as a completion, streamed or not.

Servers answer in one piece where a stream was asked for, and the reverse; what comes decides.
"""

from __future__ import annotations

from contextlib import contextmanager
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from lm_eval_so.runner.backends.http.error_response import from_error_object, without_an_answer
from lm_eval_so.runner.backends.http.json_body import read_json, read_piece
from lm_eval_so.runner.backends.http.sse import Event, EventReader, is_event_stream
from lm_eval_so.runner.backends.openai.completion import (
    NO_COMPLETION,
    AnswerOptions,
    not_a_completion,
    parse_completion,
)
from lm_eval_so.runner.backends.openai.stream import Assembly
from lm_eval_so.runner.errors import BackendError, InvalidResponseError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lm_eval_so.runner.models import ChatResponse

_DONE = b"[DONE]"
_ERROR = b"error"
_TELLS_ITS_SHAPE = len("\ufeffretry:".encode())  # bytes
_LONGEST_START = 100  # bytes, blank ones included
_LONGEST_WORDS = 500  # characters
_PLAIN = AnswerOptions()


class AnswerReader:
    """Reads an answer as it comes.

    Args:
        options: How it is read.

    Attributes:
        done: Whether the answer is whole, whatever may follow.
        time_to_first_token_ms: Of a stream, its reasoning included; None where nothing was said.
        time_to_first_answer_token_ms: The same without the reasoning.
    """

    def __init__(self, options: AnswerOptions = _PLAIN) -> None:
        self._options = options
        self._start = b""
        self._whole: list[bytes] | None = None  # the body, where it is no stream
        self._events: EventReader | None = None
        self._assembly = Assembly(options.choices, think_tags=options.think_tags)
        self._elapsed_ms = 0.0
        self.done = False
        self.time_to_first_token_ms: float | None = None
        self.time_to_first_answer_token_ms: float | None = None

    def feed(self, piece: bytes, elapsed_ms: float) -> None:
        """Takes in what came ``elapsed_ms`` after the request left.

        Raises:
            BackendError: It is an error, or nothing of an answer.
        """
        self._elapsed_ms = elapsed_ms
        if self._events is None and self._whole is None:
            piece = self._start = self._start + piece
            if len(piece.lstrip()) < _TELLS_ITS_SHAPE:
                return
            self._take_shape()
        if self._whole is not None:
            self._whole.append(piece)
        elif self._events is not None:
            self._take(self._events.feed(piece))

    def completion(self) -> object:
        """The answer at its end, in the shape of one that was not streamed.

        Raises:
            InvalidResponseError: It was cut, or is no answer.
        """
        if self._events is None:
            body = self._start if self._whole is None else b"".join(self._whole)
            return read_json(body, NO_COMPLETION)
        if not self.done:
            self._take(self._events.rest())
        try:
            with _as_invalid():
                return self._assembly.completion(ended=self.done)
        except InvalidResponseError as cut:
            raise without_an_answer(cut, self._assembly.head, self._events.stray) from cut

    def _take_shape(self) -> None:
        if is_event_stream(self._start):
            self._events = EventReader()
        else:
            self._whole = []

    def _take(self, events: Iterator[Event]) -> None:
        for event in events:
            lines = list(takewhile(_is_no_end, event.data))
            with _as_invalid():
                for chunk in _chunks(event.name, lines):
                    self._assembly.add(chunk)
            self._note_times()
            if len(lines) < len(event.data):
                self.done = True
                return

    def _note_times(self) -> None:
        if self.time_to_first_token_ms is None and self._assembly.first_said:
            self.time_to_first_token_ms = round(self._elapsed_ms, 3)
        if self.time_to_first_answer_token_ms is None and self._assembly.first_answered:
            self.time_to_first_answer_token_ms = round(self._elapsed_ms, 3)


def read_answer(
    body: bytes,
    status_code: int,
    headers: Mapping[str, str],
    options: AnswerOptions = _PLAIN,
) -> ChatResponse:
    """The answer in a body that was read to its end.

    Raises:
        BackendError: It is no answer, or tells of an error.
    """
    completion: object
    if is_event_stream(body[:_LONGEST_START]):
        reader = AnswerReader(options)
        reader.feed(body, 0.0)
        completion = reader.completion()
    else:
        completion = read_json(body, NO_COMPLETION)
    return as_response(completion, status_code, headers, options)


def as_response(
    completion: object,
    status_code: int,
    headers: Mapping[str, str],
    options: AnswerOptions = _PLAIN,
) -> ChatResponse:
    """A completion as a value.

    Raises:
        BackendError: It is none, or tells of an error.
    """
    try:  # not `_as_invalid`, which costs as much as the parsing
        return parse_completion(completion, status_code, headers, think_tags=options.think_tags)
    except BackendError:
        raise
    except Exception as error:
        raise _unreadable(error) from error


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
        raise _named_error(b"\n".join(lines))
    lines = [line for line in lines if line.strip()]
    try:
        yield from [read_piece(b"\n".join(lines))] if lines else ()
    except (ValueError, RecursionError) as error:
        if len(lines) == 1:
            text = lines[0].decode(errors="replace")
            raise not_a_completion(f"no JSON in the stream ({error})", text) from error
        yield from map(read_piece, lines)


def _named_error(data: bytes) -> BackendError:
    """The error in an event of that name: an object, one within ``error``, or plain words."""
    try:
        said = read_json(data)
    except InvalidResponseError:
        said = data.decode(errors="replace")[:_LONGEST_WORDS]
    if isinstance(said, dict):
        said = said.get("error") or said
    fields = said if isinstance(said, dict) else {"message": str(said)}
    return from_error_object(fields, str(fields.get("message") or fields))


@contextmanager
def _as_invalid() -> Iterator[None]:
    """Whatever a server sends is one sample's result, and ends no run."""
    try:
        yield
    except BackendError:
        raise
    except Exception as error:
        raise _unreadable(error) from error


def _unreadable(error: Exception) -> InvalidResponseError:
    return InvalidResponseError(
        f"the answer cannot be read: {type(error).__name__}: {error}", status_code=200
    )
