"""Puts the tool calls of a stream together from their pieces."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

import orjson

from lm_eval_so.runner.backends.openai.pieces import NoPieceError, append, index_of


class ToolCalls:
    """The tool calls of one message.

    Pieces belong together by their index. Some servers (Gemini's compatible API, older Ollama)
    give 0 to all calls, and others give none: a piece then begins a call of its own by its name,
    where the id or the name is another one, or where the arguments so far are whole.
    """

    def __init__(self) -> None:
        self._calls: list[tuple[int, dict[str, Any]]] = []

    def add(self, pieces: list[dict[str, Any]]) -> None:
        """Takes in the pieces of one chunk.

        Raises:
            NoPieceError, AttributeError, TypeError: They are no pieces of calls.
        """
        if not isinstance(pieces, list):
            raise NoPieceError("its tool calls are no list")
        for piece in pieces:
            index = index_of(piece)
            call = self._latest(index)
            if call is None or _begins_another(piece, call):
                call = {}
                self._calls.append((len(self._calls) if index is None else index, call))
            append(call, {key: value for key, value in piece.items() if key != "index"})

    def whole(self) -> list[dict[str, Any]]:
        """All calls, by their index and then as they came."""
        return [call for _, call in sorted(self._calls, key=itemgetter(0))]

    def _latest(self, index: int | None) -> dict[str, Any] | None:
        calls = (call for at, call in reversed(self._calls) if index in (None, at))
        return next(calls, None)


def _begins_another(piece: dict[str, Any], call: dict[str, Any]) -> bool:
    new, known = piece.get("function") or {}, call.get("function") or {}
    if not (new.get("name") and known.get("name")):
        return False
    if piece.get("id") and call.get("id"):
        return bool(piece["id"] != call["id"])
    if new["name"] != known["name"]:
        return True
    return bool(new.get("arguments")) and _is_whole(known.get("arguments"))


def _is_whole(arguments: object) -> bool:
    try:
        return isinstance(arguments, dict) or isinstance(orjson.loads(str(arguments)), dict)
    except orjson.JSONDecodeError:
        return False
