"""Reads the bytes of an answer, streamed or not.

Servers answer in one piece where a stream was asked for, and the reverse; what comes decides.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from lm_eval_so.runner.backends.http.error_response import from_error_object, without_an_answer
from lm_eval_so.runner.backends.http.json_body import read_json
from lm_eval_so.runner.backends.http.sse import Event, EventReader, is_event_stream
from lm_eval_so.runner.errors import BackendError, InvalidResponseError

if TYPE_CHECKING:
    from collections.abc import Iterator

_OK = 200
_TELLS_ITS_SHAPE = len("\ufeffretry:".encode())  # bytes
_LONGEST_WORDS = 500  # characters


class StreamReader(ABC):
    """Reads an answer as it comes; a wire says what its events are.

    Attributes:
        done: Whether the answer is whole, whatever may follow.
        time_to_first_token_ms: Of a stream, its reasoning included; None where nothing was said.
        time_to_first_answer_token_ms: The same without the reasoning.
        head: What a stream has told beside its text, for the message where it was cut.
    """

    problem: ClassVar[str]
    """The first words of an error about the shape of an answer."""

    def __init__(self) -> None:
        self._start = b""
        self._whole: list[bytes] | None = None  # the body, where it is no stream
        self._events: EventReader | None = None
        self._elapsed_ms = 0.0
        self.done = False
        self.time_to_first_token_ms: float | None = None
        self.time_to_first_answer_token_ms: float | None = None

    @property
    @abstractmethod
    def head(self) -> dict[str, Any]:
        """As above."""

    @property
    @abstractmethod
    def said(self) -> tuple[bool, bool]:
        """Whether something has been said, reasoning included; and something of an answer."""

    @abstractmethod
    def take(self, event: Event) -> bool:
        """Takes in an event, and returns whether the answer is whole with it.

        Raises:
            BackendError: It is an error, or nothing of an answer.
        """

    @abstractmethod
    def assembled(self) -> object:
        """The events in the shape of an answer that was not streamed.

        Raises:
            InvalidResponseError: The stream was cut.
        """

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
            self._take_all(self._events.feed(piece))

    def completion(self) -> object:
        """The answer at its end, in the shape of one that was not streamed.

        Raises:
            BackendError: It was cut, or is no answer.
        """
        if self._events is None:
            body = self._start if self._whole is None else b"".join(self._whole)
            return read_json(body, self.problem)
        if not self.done:
            self._take_all(self._events.rest())
        try:
            with as_invalid():
                return self.assembled()
        except InvalidResponseError as cut:
            raise without_an_answer(cut, self.head, self._events.stray) from cut

    def _take_shape(self) -> None:
        if is_event_stream(self._start):
            self._events = EventReader()
        else:
            self._whole = []

    def _take_all(self, events: Iterator[Event]) -> None:
        for event in events:
            with as_invalid():
                self.done = self.take(event)
            self._note_times()
            if self.done:
                return

    def _note_times(self) -> None:
        if self.time_to_first_answer_token_ms is not None:
            return
        anything, answer = self.said
        if anything and self.time_to_first_token_ms is None:
            self.time_to_first_token_ms = round(self._elapsed_ms, 3)
        if answer:
            self.time_to_first_answer_token_ms = round(self._elapsed_ms, 3)


def cut_stream() -> InvalidResponseError:
    """What to raise for a stream that ended before its answer did; it is never an answer."""
    return InvalidResponseError("the stream ended before the answer did", status_code=_OK)


def named_error(data: bytes) -> BackendError:
    """The error in an event of that name: an object, one within ``error``, or plain words."""
    try:
        said = read_json(data)
    except InvalidResponseError:
        said = data.decode(errors="replace")[:_LONGEST_WORDS]
    return described_error(said)


def described_error(said: object) -> BackendError:
    """The error of ours for an object that describes one, or that holds it in ``error``."""
    said = _first_of(said)
    if isinstance(said, dict):
        said = _first_of(said.get("error") or said)
    fields = said if isinstance(said, dict) else {"message": str(said)}
    return from_error_object(fields)


def _first_of(said: object) -> object:
    """The first of a list (Gemini); else the same."""
    return said[0] if isinstance(said, list) and said else said


@contextmanager
def as_invalid() -> Iterator[None]:
    """Whatever a server sends is one sample's result, and ends no run."""
    try:
        yield
    except BackendError:
        raise
    except Exception as error:
        raise unreadable(error) from error


def unreadable(error: Exception) -> InvalidResponseError:
    """What to raise where the reading itself failed."""
    return InvalidResponseError(
        f"the answer cannot be read: {type(error).__name__}: {error}", status_code=_OK
    )
