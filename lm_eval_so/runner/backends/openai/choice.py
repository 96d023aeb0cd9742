"""One choice of an answer, put together from its pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lm_eval_so.runner.backends.openai.content import readable
from lm_eval_so.runner.backends.openai.pieces import NoPieceError, append, replace
from lm_eval_so.runner.backends.openai.thoughts import split_thoughts
from lm_eval_so.runner.backends.openai.tool_calls import ToolCalls

if TYPE_CHECKING:
    from collections.abc import Mapping

_ANSWER = ("content", "refusal", "function_call", "audio")
_SAY_SOMETHING = (
    *_ANSWER,
    "tool_calls",
    "reasoning_content",
    "reasoning",  # DeepSeek, vLLM; OpenRouter, newer vLLM
)
_NOT_YET = ("", "null", "none")  # finish reasons of a choice that goes on; DashScope: "null"
_STRUNG = ("logprobs", "token_ids")  # lists in them go on from chunk to chunk
_APART = {*_STRUNG, "index", "delta", "message"}


def finish_reason_of(choice: Mapping[str, Any]) -> Any:  # noqa: ANN401 - SGLang's is an object
    """The finish reason; None where the choice goes on, or does not say."""
    reason = choice.get("finish_reason")
    if isinstance(reason, dict):
        reason = reason.get("type") or reason
    going_on = isinstance(reason, str) and reason.lower() in _NOT_YET
    return None if going_on else reason


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
        return bool(finish_reason_of(self._rest))

    def add(self, piece: dict[str, Any]) -> bool:
        """Takes in a piece, and returns whether it says something.

        Raises:
            NoPieceError, AttributeError, TypeError: It is no piece of a choice.
        """
        said = self._said(piece)
        if said.get("tool_calls") is not None:
            self._calls.add(said["tool_calls"])
        append(self._message, {key: said[key] for key in said if key != "tool_calls"})
        append(self._logprobs, {key: piece[key] for key in _STRUNG if key in piece})
        replace(self._rest, {key: piece[key] for key in piece if key not in _APART})
        return any(said.get(key) for key in _SAY_SOMETHING)

    def answers(self, *, think_tags: bool) -> bool:
        """Whether something of an answer has come, beside reasoning."""
        content = self._message["content"]
        if think_tags and isinstance(content, str) and not split_thoughts(content)[1].strip():
            return False
        return any(self._message.get(key) for key in _ANSWER) or bool(self._calls.whole())

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
            raise NoPieceError("it is of the older completions API")
        said = delta or message or {}
        if not isinstance(said.get("content"), str | None):
            said = {**said, "content": self._readable(said["content"])}
        if delta:
            self._came_in_deltas = True
        elif said and self._came_in_deltas:
            if said.get("content") not in (None, "", self._message["content"]):
                raise NoPieceError("its message is not the sum of its deltas")
            return {}
        return said

    def _readable(self, content: object) -> str | list[Any] | None:
        found = readable(content)
        if isinstance(content, dict | list) and isinstance(found, str) and self._message["content"]:
            raise NoPieceError("its content is an object, where text goes on")
        return found
