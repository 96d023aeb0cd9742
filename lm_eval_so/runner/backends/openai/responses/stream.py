"""Reads the events of a streamed response. Its last one holds all of it."""

from __future__ import annotations

from typing import Any

from lm_eval_so.runner.backends.http.numbers import whole_number
from lm_eval_so.runner.backends.openai.responses.answer import (
    GIVEN_UP,
    NO_RESPONSE,
    failed_response,
)
from lm_eval_so.runner.backends.wires.stream import cut_stream
from lm_eval_so.runner.backends.wires.typed_events import TypedEventReader

_LAST = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")
_ANSWER = (
    "response.output_text.delta",
    "response.refusal.delta",
    "response.function_call_arguments.delta",
    "response.custom_tool_call_input.delta",
)
_REASONING = ("response.reasoning_text.delta", "response.reasoning_summary_text.delta")


class ResponseReader(TypedEventReader):
    """Reads one answer."""

    problem = NO_RESPONSE

    def __init__(self) -> None:
        super().__init__()
        self._items: dict[int, Any] = {}
        self._response: dict[str, Any] | None = None
        self._begun: dict[str, Any] = {}

    @property
    def head(self) -> dict[str, Any]:
        return self._begun

    def take_piece(self, kind: str, piece: dict[str, Any]) -> bool:
        if kind in _ANSWER or kind in _REASONING:
            if piece.get("delta"):
                self.note(answer=kind in _ANSWER)
        elif kind == "response.output_item.done":
            at = whole_number(piece.get("output_index"))
            self._items[len(self._items) if at is None else at] = piece.get("item")
        elif kind == "response.created":
            self._begun = piece.get("response") or {}
        elif kind in _LAST:
            self._response = response = piece["response"]
            if response.get("status") in GIVEN_UP:
                raise failed_response(response)
            return True
        return False

    def assembled(self) -> dict[str, Any]:
        """The response; where its last event repeats no output, with what came before it."""
        response = self._response
        if response is None:
            raise cut_stream()
        if not response.get("output"):
            response = {**response, "output": [item for _, item in sorted(self._items.items())]}
        return response
