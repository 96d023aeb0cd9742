"""What the expressions of a request can name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lm_eval_so.runner.models import TestSample

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from lm_eval_so.runner.models import Message, RunRequest

    Part = Callable[[RunRequest, Mapping[str, Any]], Any]

_SYSTEM = ("system", "developer")
_TEXT = {"text", "input_text"}
SESSION = "session"
_FIELDS = tuple(name for name in TestSample.model_fields if name != "messages")


def values_of(
    request: RunRequest, names: Collection[str], params: Mapping[str, Any], session: object
) -> dict[str, Any]:
    """The values of these names.

    Args:
        request: The question.
        names: Those that are used.
        params: The parameters that are sent.
        session: Id of the conversation; None where it has none yet.
    """
    values = {name: _PARTS[name](request, params) for name in names if name != SESSION}
    if SESSION in names:
        values[SESSION] = session
    return values


def sample_fields(sample: TestSample) -> dict[str, Any]:
    """A sample without its messages, which a prompt may have changed."""
    fields = {name: getattr(sample, name) for name in _FIELDS}
    return {**fields, **(sample.model_extra or {})}


def last_user(messages: list[Message]) -> Any:  # noqa: ANN401 - text, or content parts
    """The content of the last user turn: text, also of parts that are nothing but text.

    Parts that hold more (images) stay as they are. None where no user speaks.
    """
    at = _last_user_turn(messages)
    content = None if at is None else messages[at].get("content")
    if not isinstance(content, list):
        return content
    if any(part.get("type") not in _TEXT for part in content):
        return content
    return "\n".join(str(part.get("text", "")) for part in content)


def _history(messages: list[Message]) -> list[Message]:
    """What was said before the last user turn, without the system's messages."""
    at = _last_user_turn(messages)
    return [message for message in messages[:at] if message["role"] not in _SYSTEM]


def _system(messages: list[Message]) -> str | None:
    texts = [message.get("content") for message in messages if message["role"] in _SYSTEM]
    return "\n\n".join(text for text in texts if isinstance(text, str)) if texts else None


def _last_user_turn(messages: list[Message]) -> int | None:
    found = (at for at in reversed(range(len(messages))) if messages[at]["role"] == "user")
    return next(found, None)


_PARTS: dict[str, Part] = {
    "messages": lambda request, _: request.messages,
    "last_user": lambda request, _: last_user(request.messages),
    "history": lambda request, _: _history(request.messages),
    "system": lambda request, _: _system(request.messages),
    "sample": lambda request, _: sample_fields(request.sample),
    "model": lambda request, _: request.run_config.model,
    "params": lambda _, params: dict(params),
    "trace_id": lambda request, _: request.trace_id,
}
NAMES = frozenset({*_PARTS, SESSION})
"""All that an expression of a request can begin with."""
