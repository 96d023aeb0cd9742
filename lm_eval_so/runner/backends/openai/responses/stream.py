"""Reads the events of a streamed response. Its last one should hold all of it."""

from __future__ import annotations

from typing import Any

from lm_eval_so.runner.backends.http.json_body import invalid_body
from lm_eval_so.runner.backends.openai.responses.answer import (
    GIVEN_UP,
    NO_RESPONSE,
    failed_response,
)
from lm_eval_so.runner.backends.openai.responses.pieces import Pieces
from lm_eval_so.runner.backends.wires.stream import cut_stream
from lm_eval_so.runner.backends.wires.typed_events import TypedEventReader

_ENDS = {
    "response.completed": "completed",
    "response.done": "completed",  # the name of the Realtime API, in gateways
    "response.incomplete": "incomplete",
    "response.failed": "failed",
    "response.cancelled": "cancelled",
}
"""The status that the type of a last event stands for."""


class ResponseReader(TypedEventReader):
    """Reads one answer."""

    problem = NO_RESPONSE

    def __init__(self) -> None:
        super().__init__()
        self._pieces = Pieces()
        self._response: dict[str, Any] | None = None
        self._begun: dict[str, Any] = {}

    @property
    def head(self) -> dict[str, Any]:
        return self._begun

    def take_piece(self, kind: str, piece: dict[str, Any]) -> bool:
        if kind in _ENDS:
            self._response = self._ended(_ENDS[kind], piece)
            return True
        if kind == "response.created":
            begun = piece.get("response")
            self._begun = begun if isinstance(begun, dict) else {}
        elif self._pieces.add(kind, piece):
            self.note(answer=not kind.startswith("response.reasoning"))
        return False

    def assembled(self) -> dict[str, Any]:
        """The response; with what came before it, where its last event does not repeat that."""
        response = self._response
        if response is None:
            raise cut_stream()
        output = response.get("output")
        if isinstance(output, list | None):
            response = {**response, "output": self._pieces.complete(output or [])}
        return response

    def _ended(self, by_event: str, piece: dict[str, Any]) -> dict[str, Any]:
        """The response of a last event, where there is one, with a status that is an end."""
        told = piece.get("response")
        response = told if isinstance(told, dict) else self._begun
        if not response:
            raise invalid_body(f"{NO_RESPONSE}: the last event of the stream holds none", piece)
        status = response.get("status")
        if by_event in GIVEN_UP or status not in _ENDS.values():
            status = by_event
        response = {**response, "status": status}
        if status in GIVEN_UP:
            raise failed_response(response)
        return response
