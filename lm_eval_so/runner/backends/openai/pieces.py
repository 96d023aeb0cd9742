"""How the pieces of a streamed answer are joined to the message that they spell out."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

import orjson

from lm_eval_so.runner.backends.openai.told import whole_number

_HIGHEST_INDEX = 1000
"""OpenAI allows 128 choices and as many tools; beyond this it is garbage."""

_NAMES = frozenset({"role", "id", "type", "name"})
"""Strings that come whole, and again in some servers' every chunk."""

_SAY_SOMETHING = (
    *("content", "tool_calls", "refusal", "function_call"),
    *("reasoning_content", "reasoning"),  # DeepSeek, vLLM; OpenRouter, newer vLLM
)
_NOT_YET = ("", "null", "none")  # finish reasons of a choice that goes on; DashScope: "null"


def told_index(piece: dict[str, Any]) -> int | None:
    """The index in a piece; None where it is null or not there.

    Raises:
        TypeError: It is no index.
    """
    told = piece.get("index")
    index = whole_number(told)
    if told is not None and (index is None or index > _HIGHEST_INDEX):
        raise TypeError(f"index {told!r:.20}")
    return index


def told_finish_reason(choice: dict[str, Any]) -> Any:  # noqa: ANN401 - SGLang's is an object
    """The finish reason; None where the choice goes on, or does not say."""
    reason = choice.get("finish_reason")
    going_on = isinstance(reason, str) and reason.lower() in _NOT_YET
    return None if going_on else reason


def append(whole: dict[str, Any], piece: dict[str, Any]) -> None:
    """Adds a piece of a message: text to text, list to list, names once."""
    for key, value in piece.items():
        known = whole.get(key)
        if known is None or value is None:
            whole[key] = known if value is None else value
        elif key in _NAMES:
            whole[key] = value or known
        elif isinstance(value, str) and isinstance(known, str):
            whole[key] = known + value
        elif isinstance(value, dict) and isinstance(known, dict):
            append(known, value)
        elif isinstance(value, str | list) and isinstance(known, str | list):
            whole[key] = _parts(known) + _parts(value)
        else:
            whole[key] = value


def _parts(content: str | list[Any]) -> list[Any]:
    return content if isinstance(content, list) else [{"type": "text", "text": content}]


def replace(whole: dict[str, Any], piece: dict[str, Any]) -> None:
    """Notes what a piece says of a whole: the newest that says something; objects are united."""
    for key, value in piece.items():
        known = whole.get(key)
        if isinstance(value, dict) and isinstance(known, dict):
            replace(known, value)
        elif value or not known:
            whole[key] = value


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
            AttributeError, TypeError: They are no pieces of calls.
        """
        if not isinstance(pieces, list):
            raise TypeError("tool_calls")
        for piece in pieces:
            index = told_index(piece)
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


class Choice:
    """One choice of a streamed answer."""

    def __init__(self, index: int) -> None:
        self._rest: dict[str, Any] = {"index": index}
        self._logprobs: dict[str, Any] = {}
        self._message: dict[str, Any] = {"role": "assistant", "content": None}
        self._calls = ToolCalls()
        self._came_in_deltas = False

    @property
    def finished(self) -> bool:
        """Whether it has its finish reason."""
        return bool(told_finish_reason(self._rest))

    def add(self, piece: dict[str, Any]) -> bool:
        """Takes in a piece, and returns whether it says something.

        Raises:
            AttributeError, TypeError: It is no piece of a choice.
        """
        said = self._said(piece)
        if said.get("tool_calls") is not None:
            self._calls.add(said["tool_calls"])
        append(self._message, {key: said[key] for key in said if key != "tool_calls"})
        append(self._logprobs, {key: piece[key] for key in _STRUNG if key in piece})
        replace(self._rest, {key: piece[key] for key in piece if key not in _APART})
        return any(said.get(key) for key in _SAY_SOMETHING)

    def whole(self) -> dict[str, Any]:
        """The choice as it stands in an answer that was not streamed."""
        calls = self._calls.whole()
        message = {**self._message, "tool_calls": calls} if calls else self._message
        finish = {"finish_reason": None, "logprobs": None}
        return {**finish, **self._rest, **self._logprobs, "message": message}

    def _said(self, piece: dict[str, Any]) -> dict[str, Any]:
        """The delta, else a message in its place; one that repeats all deltas adds nothing."""
        delta, message = piece.get("delta"), piece.get("message")
        if delta is None and message is None and piece.get("text"):
            raise TypeError("a choice of the older completions API")
        said = delta or message or {}
        if not isinstance(said.get("content"), str | list | None):
            raise TypeError("a content that is no text")
        if delta:
            self._came_in_deltas = True
        elif said and self._came_in_deltas:
            if said.get("content") not in (None, "", self._message["content"]):
                raise TypeError("a message that is not the sum of its deltas")
            return {}
        return said


_STRUNG = ("logprobs", "token_ids")  # lists in them go on from chunk to chunk
_APART = {*_STRUNG, "index", "delta", "message"}
