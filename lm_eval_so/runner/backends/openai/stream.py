"""Chunks to the completion they spell out."""

from typing import Any

from lm_eval_so.runner.errors import InvalidResponseError

_HEAD = ("id", "created", "model", "system_fingerprint", "service_tier", "usage", "error")


class Assembly:
    """Collects the chunks of one stream.

    Pieces of text are joined, tool calls are put together by their index, and lists such as
    log-probabilities are strung together.
    """

    def __init__(self) -> None:
        self._head: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}
        self.time_to_first_token_ms: float | None = None

    def add(self, chunk: object, elapsed_ms: float) -> None:
        """Takes in a chunk that came ``elapsed_ms`` after the request left.

        Raises:
            InvalidResponseError: It is no chunk.
        """
        try:
            self._add(chunk, elapsed_ms)
        except (AttributeError, TypeError) as error:  # something is not of the type it should be
            raise InvalidResponseError(
                f"the stream holds something that is no chunk: {chunk!r:.200}"
            ) from error

    def _add(self, chunk: Any, elapsed_ms: float) -> None:  # noqa: ANN401 - whatever came
        self._head.update({key: chunk[key] for key in _HEAD if chunk.get(key) is not None})
        for choice in chunk.get("choices", []):
            delta = choice.get("delta") or {}
            if self.time_to_first_token_ms is None and any(
                delta.get(key) for key in ("content", "tool_calls", "refusal", "reasoning_content")
            ):
                self.time_to_first_token_ms = round(elapsed_ms, 3)
            whole = self._choices.setdefault(
                _index(choice, 0), {"message": {"role": "assistant", "content": None}}
            )
            _merge(whole["message"], delta)
            _merge(whole, {key: choice.get(key) for key in ("finish_reason", "logprobs")})

    def completion(self) -> dict[str, Any]:
        """The whole, in the shape of an answer that was not streamed.

        Raises:
            InvalidResponseError: The stream ended before every choice had its finish reason.
        """
        if "error" in self._head:
            return self._head
        unfinished = any(not choice.get("finish_reason") for choice in self._choices.values())
        if unfinished or not self._choices:
            raise InvalidResponseError("the stream ended before the answer did", status_code=200)
        choices = [{"index": index, **self._choices[index]} for index in sorted(self._choices)]
        return {"object": "chat.completion", **self._head, "choices": choices}


def _merge(whole: dict[str, Any], piece: dict[str, Any]) -> None:
    for key, value in piece.items():
        if value is None:
            whole.setdefault(key, None)
        elif key == "tool_calls":
            _merge_calls(whole, value)
        elif isinstance(value, str) and isinstance(whole.get(key), str) and key not in _NAMES:
            whole[key] += value
        elif isinstance(value, dict) and isinstance(whole.get(key), dict):
            _merge(whole[key], value)
        elif isinstance(value, list) and isinstance(whole.get(key), list):
            whole[key] += value
        else:
            whole[key] = value


def _merge_calls(whole: dict[str, Any], calls: list[dict[str, Any]]) -> None:
    known = whole["tool_calls"] = whole.get("tool_calls") or []
    for call in calls:
        index = _index(call, len(known))
        while len(known) <= index:
            known.append({})
        _merge(known[index], {key: value for key, value in call.items() if key != "index"})


def _index(piece: dict[str, Any], default: int) -> int:
    index = piece.get("index", default)
    if not isinstance(index, int) or not 0 <= index <= _HIGHEST_INDEX:
        raise TypeError(index)
    return index


_HIGHEST_INDEX = 1000
"""OpenAI allows 128 choices and as many tools; beyond this it is garbage."""

_NAMES = frozenset({"role", "id", "type", "name", "finish_reason"})
"""Strings that come whole, and again in some servers' every chunk."""
