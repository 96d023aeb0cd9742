"""Puts the events of a stream together to a message.

https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import orjson

from lm_eval_so.runner.backends.anthropic.answer import NO_MESSAGE, Block
from lm_eval_so.runner.backends.http.json_body import invalid_body
from lm_eval_so.runner.backends.http.numbers import whole_number
from lm_eval_so.runner.backends.wires.stream import cut_stream
from lm_eval_so.runner.backends.wires.typed_events import TypedEventReader

if TYPE_CHECKING:
    from lm_eval_so.runner.errors import InvalidResponseError

_JSON = "partial_json"
_SAID = ("text", "thinking")  # types of blocks, which are also the names of their texts
_TEXTS = (*_SAID, _JSON)
"""What a delta adds to its block; a tool's input comes as JSON in pieces."""


class MessageReader(TypedEventReader):
    """Reads one answer. Blocks stand in the order in which they began, whatever their indexes."""

    problem = NO_MESSAGE

    def __init__(self) -> None:
        super().__init__()
        self._message: dict[str, Any] = {}
        self._given: dict[int | None, Block] = {}  # in the message's start; none in Anthropic's own
        self._blocks: list[Block] = []
        self._newest: dict[int | None, Block] = {}  # of each index; of None: of all
        self._stopped = False

    @property
    def head(self) -> dict[str, Any]:
        return self._message

    def take_piece(self, kind: str, piece: dict[str, Any]) -> bool:
        match kind:
            case "message_start":
                self._message = dict(_object(piece.get("message") or {}, kind, "message"))
                content = self._message.get("content") or []
                listed = content if isinstance(content, list) else [content]
                self._given = {at: _block(block) for at, block in enumerate(listed)}
            case "content_block_start":
                self._begin(_index(piece, kind), _block(piece.get("content_block")))
            case "content_block_delta":
                delta = _object(piece.get("delta"), kind, "delta")
                self._extend(_index(piece, kind), delta)
            case "message_delta":
                delta = _object(piece.get("delta") or {}, kind, "delta")
                self._end(delta, piece.get("usage"))
            case "message_stop":
                return True
        return False

    def assembled(self) -> dict[str, Any]:
        """The message. It is whole with a reason why the model stopped, also without its end.

        Raises:
            InvalidResponseError: It was cut.
        """
        blocks = [*self._given.values(), *self._blocks]
        if not (self._stopped or (self.done and (self._message or blocks))):
            raise cut_stream()
        return {**self._message, "content": [_whole(block) for block in blocks if block]}

    def _begin(self, at: int | None, block: Block) -> Block:
        self._given.pop(at, None)
        self._blocks.append(block)
        self._newest[at] = self._newest[None] = block
        kind = block.get("type")
        if kind == "tool_use" or (kind == "text" and block.get("text")):
            self.note(answer=True)
        return block

    def _extend(self, at: int | None, delta: dict[str, Any]) -> None:
        for name in _TEXTS:
            if text := delta.get(name):
                block = self._block_for(name, at)
                known = block.get(name) or ""
                if not (isinstance(known, str) and isinstance(text, str)):
                    raise _stray("a delta whose text is no text", delta)
                block[name] = known + text
                self.note(answer=block["type"] != "thinking")
        self._annotate(self._newest.get(at, {}), delta)

    def _block_for(self, name: str, at: int | None) -> Block:
        """The newest block of the index, where it is of the delta's type; else a new one."""
        block = self._newest.get(at)
        if block is None and at in self._given:
            block = self._begin(at, self._given[at])
        kind = block.get("type") if block else None
        if name == _JSON:
            if block is None or kind in (*_SAID, None):
                raise _stray("the input of a tool that it has not named", block)
        elif block is None or (kind or name) != name:
            block = self._begin(at, {"type": name})
        else:
            block["type"] = name
        return block

    def _annotate(self, block: Block, delta: dict[str, Any]) -> None:
        if delta.get("signature"):
            block["signature"] = delta["signature"]
        if "citation" in delta:
            known = block.get("citations")
            block["citations"] = [*(known if isinstance(known, list) else ()), delta["citation"]]

    def _end(self, delta: dict[str, Any], usage: object) -> None:
        """Why it stopped, and the counts, which are those of the whole message."""
        told = _told(delta)
        self._stopped = self._stopped or bool(told.get("stop_reason"))
        counts = {**_told(self._message.get("usage")), **_told(usage)}
        self._message = {**self._message, **told, "usage": counts}


def _index(piece: dict[str, Any], kind: str) -> int | None:
    """The index in an event; None where it has none."""
    told = piece.get("index")
    at = whole_number(told)
    if told is not None and at is None:
        raise _stray(f"a {kind} with the index {told!r:.20}", piece)
    return at


def _object(found: object, kind: str, name: str) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise _stray(f"a {kind} without its {name}", found)
    return found


def _block(found: object) -> Block:
    """A block; nothing at all has its type from what is added to it."""
    match found:
        case None:
            return {}
        case str(text):
            return {"type": "text", "text": text}
        case dict(block):
            return dict(block)
    raise _stray("a block that is no object", found)


def _stray(what: str, found: object) -> InvalidResponseError:
    return invalid_body(f"{NO_MESSAGE}: the stream holds {what}", found)


def _told(fields: object) -> dict[str, Any]:
    told = fields.items() if isinstance(fields, dict) else ()
    return {name: value for name, value in told if value is not None}


def _whole(block: Block) -> Block:
    """A block as in a message that was not streamed; input that was cut stays a text."""
    if _JSON not in block:
        return block
    given = block[_JSON]
    with suppress(orjson.JSONDecodeError):
        given = orjson.loads(given)
    return {**{name: value for name, value in block.items() if name != _JSON}, "input": given}
