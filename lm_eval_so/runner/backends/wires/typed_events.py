"""Streams whose events are objects with a ``type``: OpenAI's Responses, Anthropic's Messages."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from lm_eval_so.runner.backends.http.json_body import invalid_body, read_piece
from lm_eval_so.runner.backends.wires.error_in_answer import error_within
from lm_eval_so.runner.backends.wires.stream import StreamReader, named_error

if TYPE_CHECKING:
    from lm_eval_so.runner.backends.http.sse import Event
    from lm_eval_so.runner.errors import InvalidResponseError

_ERROR = b"error"
_ALIVE = {b"ping", b"keepalive", b"keep-alive", b"heartbeat"}
"""Names of events that say nothing, whatever their data is."""
_DONE = b"[DONE]"  # of servers that speak Chat Completions too


class TypedEventReader(StreamReader):
    """Reads such a stream; a wire says what each type is to it.

    Attributes:
        first_said: Whether something has been said, reasoning included.
        first_answered: Whether something of an answer has been said.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first_said = self.first_answered = False

    @property
    def said(self) -> tuple[bool, bool]:
        return self.first_said, self.first_answered

    @abstractmethod
    def take_piece(self, kind: str, piece: dict[str, Any]) -> bool:
        """Takes in an event of a type, and returns whether the answer is whole with it."""

    def note(self, *, answer: bool) -> None:
        """Notes that something was said: of the answer, or of the reasoning before it."""
        self.first_said = True
        self.first_answered = self.first_answered or answer

    def take(self, event: Event) -> bool:
        name, data = event.name.lower(), b"\n".join(event.data).strip()
        if name == _ERROR:
            raise named_error(data)
        if not data or data.startswith(_DONE) or name in _ALIVE:
            return False
        piece = self._read(data)
        if error := error_within(piece):
            raise error
        kind = piece.get("type") or event.name.decode(errors="replace")
        return self.take_piece(str(kind), piece)

    def _read(self, data: bytes) -> dict[str, Any]:
        try:
            piece = read_piece(data)
        except (ValueError, RecursionError) as error:
            raise self._invalid(f"no JSON in the stream ({error})", data) from error
        if not isinstance(piece, dict):
            raise self._invalid("the stream holds something that is no event", data)
        return piece

    def _invalid(self, what: str, data: bytes) -> InvalidResponseError:
        return invalid_body(f"{self.problem}: {what}", data.decode(errors="replace"))
