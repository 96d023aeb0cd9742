"""Messages and answers as those of inspect_ai."""

from typing import Any

import orjson

from lm_eval_so.report.export.export import as_text
from lm_eval_so.runner.models import AnswerChoice, ChatResponse

_STOP_REASONS = {
    "stop": "stop",
    "length": "max_tokens",
    "content_filter": "content_filter",
    "tool_calls": "tool_calls",
}


def stop_reason(finish_reason: str | None) -> str:
    """Inspect's word for a finish reason."""
    return _STOP_REASONS.get(finish_reason or "", "unknown")


class Messages:
    """Makes messages of Inspect. What it has no value for becomes text; nothing is lost or refused.

    Args:
        model: ``inspect_ai.model``.
        tool: ``inspect_ai.tool``.
    """

    def __init__(self, model: Any, tool: Any) -> None:
        self._model = model
        self._tool = tool

    def of(self, message: dict[str, Any]) -> Any:
        """A message that was sent."""
        content = self._content(message.get("content"))
        match message["role"]:
            case "system" | "developer":
                return self._model.ChatMessageSystem(content=content)
            case "assistant":
                calls = self._calls(message.get("tool_calls"))
                return self._model.ChatMessageAssistant(content=content, tool_calls=calls)
            case "tool" | "function":
                call = message.get("tool_call_id")
                return self._model.ChatMessageTool(
                    content=content,
                    tool_call_id=call if isinstance(call, str) else None,
                    function=message.get("name"),
                )
            case _:
                return self._model.ChatMessageUser(content=content)

    def answer(self, answer: AnswerChoice | ChatResponse, model: str) -> Any:
        """What a model answered."""
        content: Any = answer.text
        if answer.reasoning:
            content = [
                self._model.ContentReasoning(reasoning=answer.reasoning),
                self._model.ContentText(text=answer.text),
            ]
        return self._model.ChatMessageAssistant(
            content=content,
            tool_calls=self._calls(answer.tool_calls),
            model=model,
            source="generate",
        )

    def _content(self, content: object) -> Any:
        if content is None:
            return ""
        return list(map(self._part, content)) if isinstance(content, list) else as_text(content)

    def _part(self, part: object) -> Any:
        match part:
            case {"type": "text", "text": str(text)}:
                return self._model.ContentText(text=text)
            case {"type": "image_url", "image_url": {"url": str(url)}}:
                return self._model.ContentImage(image=url)
            case {
                "type": "input_audio",
                "input_audio": {"data": str(d), "format": "wav" | "mp3" as f},
            }:
                return self._model.ContentAudio(audio=f"data:audio/{f};base64,{d}", format=f)
            case _:
                return self._model.ContentText(text=as_text(part))

    def _calls(self, calls: list[dict[str, Any]] | None) -> list[Any] | None:
        return [self._call(number, call) for number, call in enumerate(calls or ())] or None

    def _call(self, number: int, call: dict[str, Any]) -> Any:
        function = call.get("function")
        given = function if isinstance(function, dict) else {}
        raw = given.get("arguments")
        arguments = _parsed(raw)
        return self._tool.ToolCall(
            id=as_text(call.get("id") or f"call_{number}"),
            function=as_text(given.get("name") or call.get("type") or "unknown"),
            arguments={} if arguments is None else arguments,
            parse_error=None if arguments is not None else f"no JSON object: {as_text(raw)}",
        )


def _parsed(arguments: object) -> dict[str, Any] | None:
    """The arguments of a call; None if they are not a JSON object."""
    try:
        found = orjson.loads(arguments) if isinstance(arguments, str) else arguments
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None
