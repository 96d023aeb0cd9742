"""Puts the events of a stream together to a message.

https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import orjson

from lm_eval_so.runner.backends.anthropic.answer import NO_MESSAGE
from lm_eval_so.runner.backends.http.numbers import whole_number
from lm_eval_so.runner.backends.wires.stream import cut_stream
from lm_eval_so.runner.backends.wires.typed_events import TypedEventReader

_JSON = "partial_json"
_TEXTS = ("text", "thinking", _JSON)
"""What a delta adds to its block; a tool's input comes as JSON in pieces."""


class MessageReader(TypedEventReader):
    """Reads one answer."""

    problem = NO_MESSAGE

    def __init__(self) -> None:
        super().__init__()
        self._message: dict[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = {}

    @property
    def head(self) -> dict[str, Any]:
        return self._message

    def take_piece(self, kind: str, piece: dict[str, Any]) -> bool:
        match kind:
            case "message_start":
                self._message = dict(piece["message"])
                for at, block in enumerate(self._message.get("content") or ()):
                    self._begin(at, block)
            case "content_block_start":
                self._begin(_index(piece), piece["content_block"])
            case "content_block_delta":
                self._extend(self._blocks[_index(piece)], piece["delta"])
            case "message_delta":
                self._end(piece)
            case "message_stop":
                return True
        return False

    def assembled(self) -> dict[str, Any]:
        if not (self.done and self._message):
            raise cut_stream()
        blocks = [_whole(block) for _, block in sorted(self._blocks.items())]
        return {**self._message, "content": blocks}

    def _begin(self, at: int, block: dict[str, Any]) -> None:
        self._blocks[at] = dict(block)
        kind = block["type"]
        if kind == "tool_use" or (kind == "text" and block.get("text")):
            self.note(answer=True)

    def _extend(self, block: dict[str, Any], delta: dict[str, Any]) -> None:
        for name in _TEXTS:
            if delta.get(name):
                block[name] = block.get(name, "") + delta[name]
                self.note(answer=block["type"] != "thinking")
        if delta.get("signature"):
            block["signature"] = delta["signature"]
        if "citation" in delta:
            block["citations"] = [*(block.get("citations") or ()), delta["citation"]]

    def _end(self, piece: dict[str, Any]) -> None:
        """Why it stopped, and the counts, which are those of the whole message."""
        usage = {**(self._message.get("usage") or {}), **_told(piece.get("usage"))}
        self._message = {**self._message, **_told(piece.get("delta")), "usage": usage}


def _index(piece: dict[str, Any]) -> int:
    at = whole_number(piece.get("index"))
    if at is None:
        raise TypeError(f"index {piece.get('index')!r:.20}")
    return at


def _told(fields: dict[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (fields or {}).items() if value is not None}


def _whole(block: dict[str, Any]) -> dict[str, Any]:
    """A block as in a message that was not streamed; input that was cut stays a text."""
    if _JSON not in block:
        return block
    given = block[_JSON]
    with suppress(orjson.JSONDecodeError):
        given = orjson.loads(given)
    return {**{name: value for name, value in block.items() if name != _JSON}, "input": given}
