"""What a streamed response says before its last event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from lm_eval_so.runner.backends.http.numbers import whole_number
from lm_eval_so.runner.backends.openai.responses.answer import NO_RESPONSE, Item, says
from lm_eval_so.runner.backends.wires.texts import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class _Place(NamedTuple):
    """Where in a response a text stands: the type of its item, its list there, its part's type."""

    item: str
    parts: str
    part: str
    key: str

    def item_of(self, texts: list[str]) -> Item:
        return {
            "type": self.item,
            self.parts: [{"type": self.part, self.key: text} for text in texts],
        }


_PLACES = {
    "response.reasoning_summary_text": _Place("reasoning", "summary", "summary_text", "text"),
    "response.reasoning_text": _Place("reasoning", "content", "reasoning_text", "text"),
    "response.output_text": _Place("message", "content", "output_text", "text"),
    "response.refusal": _Place("message", "content", "refusal", "refusal"),
}
_CALLS = {
    "function_call": ("response.function_call_arguments", "arguments"),
    "custom_tool_call": ("response.custom_tool_call_input", "input"),
}
"""By the type of an item: what its deltas are of, and where they stand in it."""

_KEYS = {**{what: place.key for what, place in _PLACES.items()}, **dict(_CALLS.values())}
_EVENTS = {
    f"{what}.{step}": (what, "delta" if step == "delta" else key)
    for what, key in _KEYS.items()
    for step in ("delta", "done")
}
"""By the type of an event: what it tells a text of, and where it has it."""


class Pieces:
    """Items and deltas; they stand where the response has nothing of their kind, as of vLLM."""

    def __init__(self) -> None:
        self._begun: dict[int, Item] = {}
        self._done: dict[int, Any] = {}
        self._texts: dict[tuple[str, int, int], list[Any]] = {}

    def add(self, kind: str, piece: Mapping[str, Any]) -> bool:
        """Takes in an event, and returns whether it says something."""
        if kind in _EVENTS:
            what, key = _EVENTS[kind]
            if text := piece.get(key):
                part = piece.get("summary_index", piece.get("content_index"))
                at = (what, whole_number(piece.get("output_index")) or 0, whole_number(part) or 0)
                known = self._texts.setdefault(at, [])
                if key != "delta":  # the whole, which the deltas came to
                    known.clear()
                known.append(text)
            return bool(text)
        if kind.startswith("response.output_item."):
            self._add_item(piece, done=kind.endswith(".done"))
        return False

    def complete(self, output: list[Any]) -> list[Any]:
        """The output of the last event, with what is missing in it.

        Raises:
            InvalidResponseError: It or a delta that is needed holds something of no known kind.
        """
        output = output or [item for _, item in sorted(self._done.items())]
        return [*output, *self._missing(output)]

    def _add_item(self, piece: Mapping[str, Any], *, done: bool) -> None:
        at, item = whole_number(piece.get("output_index")), piece.get("item")
        if done:
            self._done[len(self._done) if at is None else at] = item
        elif at is not None and isinstance(item, dict):
            self._begun[at] = item

    def _missing(self, output: list[Any]) -> Iterator[Item]:
        for what, place in _PLACES.items():
            parts = [pieces for (of, _, _), pieces in self._texts.items() if of == what]
            if parts and not says(output, place.item):
                yield place.item_of([text_of(part, NO_RESPONSE) for part in parts])
        if not says(output, "call"):
            yield from self._calls()

    def _calls(self) -> Iterator[Item]:
        for at, item in self._begun.items():
            if (kind := str(item.get("type"))) in _CALLS:
                what, key = _CALLS[kind]
                told = text_of(self._texts.get((what, at, 0)), NO_RESPONSE)
                yield {**item, key: item.get(key) or told}
