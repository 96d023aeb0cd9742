"""A response's body to a ChatResponse. A 200 that is no response is an error, not an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lm_eval_so.runner.backends.http.error_response import from_error_object, without_an_answer
from lm_eval_so.runner.backends.http.header import request_id
from lm_eval_so.runner.backends.http.json_body import invalid_body
from lm_eval_so.runner.backends.http.numbers import whole_number
from lm_eval_so.runner.backends.wires.cost import reported_cost
from lm_eval_so.runner.backends.wires.error_in_answer import error_within
from lm_eval_so.runner.backends.wires.texts import text_of
from lm_eval_so.runner.models import ChatResponse, TokenUsage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lm_eval_so.runner.errors import BackendError

NO_RESPONSE = "the answer is no response"
"""How the message of each error begins that is about the shape of an answer."""
GIVEN_UP = ("failed", "cancelled")
_ANSWERED = ("completed", "incomplete", None)  # None: servers that do not say
_BETWEEN = "\n\n"  # parts of a reasoning

Item = dict[str, Any]


def parse_response(body: object, status_code: int, headers: Mapping[str, str]) -> ChatResponse:
    """The text of all its messages, all of it as ``raw``.

    Raises:
        InvalidResponseError: The body is no response, or one that is not there yet.
        BackendError: It failed, or is an error.
    """
    output = _output(body)
    assert isinstance(body, dict)  # noqa: S101 - looked at above
    items = _items(output)
    refusal = _refusal(items)
    text = text_of(output, NO_RESPONSE) or _text_or_none(body.get("output_text"))
    calls = list(_calls(items))
    usage = body.get("usage")
    return ChatResponse(
        text=text or refusal or "",
        finish_reason=_finish_reason(body, calls),
        reasoning=_reasoning(items),
        tool_calls=calls or None,
        refusal=refusal,
        status_code=status_code,
        tokens=_tokens(usage),
        model=_text_or_none(body.get("model")),
        service_tier=_text_or_none(body.get("service_tier")),
        request_id=request_id(headers),
        headers=headers,
        cost_usd=reported_cost(headers, usage),
        raw=body,
    )


def failed_response(response: Mapping[str, Any]) -> BackendError:
    """The error of a response that failed, or was given up."""
    error = response.get("error")
    fields = error if isinstance(error, dict) else {"message": error} if error else {}
    status = response.get("status")
    message = fields.get("message") or f"the answer was given up by the server (status {status!r})"
    return from_error_object(dict(fields), str(message))


def says(output: list[Any], kind: str) -> bool:
    """Whether an output has anything of a kind: ``reasoning``, ``message`` or ``call``.

    Raises:
        InvalidResponseError: It holds something of no known kind.
    """
    items = _items(output)
    match kind:
        case "reasoning":
            return _reasoning(items) is not None
        case "message":
            return bool(text_of(output, NO_RESPONSE)) or _refusal(items) is not None
    return any(_calls(items))


def _output(body: object) -> list[Any]:
    if not isinstance(body, dict):
        raise without_an_answer(invalid_body(f"{NO_RESPONSE}: no JSON object", body), body)
    if body.get("status") in GIVEN_UP:
        raise failed_response(body)
    if error := error_within(body):
        raise error
    output = body.get("output")
    if output is None and body.get("output_text"):
        output = []
    if not isinstance(output, list):
        raise without_an_answer(invalid_body(f"{NO_RESPONSE}: no output", body), body)
    if body.get("status") not in _ANSWERED:
        raise invalid_body(f"{NO_RESPONSE}: its status is {body['status']!r}", body)
    return output


def _items(output: list[Any]) -> list[Item]:
    return [item for item in output if isinstance(item, dict)]


def _refusal(items: list[Item]) -> str | None:
    return "".join(_parts(items, "message", "content", "refusal")) or None


def _finish_reason(body: Mapping[str, Any], calls: list[Item]) -> str | None:
    if body.get("status") == "incomplete":
        details = body.get("incomplete_details")
        reason = details.get("reason") if isinstance(details, dict) else None
        return _text_or_none(reason) or "incomplete"
    return "tool_calls" if calls else "stop"


def _reasoning(items: list[Item]) -> str | None:
    """The summaries, else the reasoning itself, where a server shows it."""
    for place, kind in (("summary", "summary_text"), ("content", "reasoning_text")):
        if found := _BETWEEN.join(_parts(items, "reasoning", place, kind)):
            return found
    return None


def _parts(items: list[Item], item_type: str, place: str, part_type: str) -> Iterator[str]:
    """The texts of the parts of a type, in items of a type."""
    key = "refusal" if part_type == "refusal" else "text"
    for item in items:
        if (item.get("type") or "message") == item_type and isinstance(item.get(place), list):
            for part in item[place]:
                if isinstance(part, dict) and part.get("type") == part_type:
                    yield _text_or_none(part.get(key)) or ""


def _calls(items: list[Item]) -> Iterator[Item]:
    """The calls of the sample's tools, as Chat Completions has them."""
    for item in items:
        match item:
            case {"type": "function_call", "name": name}:
                function = {"name": name, "arguments": item.get("arguments", "")}
                yield {"id": item.get("call_id"), "type": "function", "function": function}
            case {"type": "custom_tool_call", "name": name}:
                custom = {"name": name, "input": item.get("input", "")}
                yield {"id": item.get("call_id"), "type": "custom", "custom": custom}


def _tokens(usage: object) -> TokenUsage | None:
    if not isinstance(usage, dict):
        return None
    names = ("input_tokens", "output_tokens", "total_tokens")
    asked, answered, total = (whole_number(usage.get(name)) for name in names)
    if asked is answered is total is None:
        return None
    if total is None and asked is not None and answered is not None:
        total = asked + answered
    return TokenUsage(
        input=asked,
        output=answered,
        total=total,
        cached=_detail(usage, "input_tokens_details", "cached_tokens"),
        cache_written=_detail(usage, "input_tokens_details", "cache_write_tokens") or None,
        reasoning=_detail(usage, "output_tokens_details", "reasoning_tokens"),
    )


def _detail(usage: Mapping[str, Any], place: str, name: str) -> int | None:
    details = usage.get(place)
    return whole_number(details.get(name)) if isinstance(details, dict) else None


def _text_or_none(told: object) -> str | None:
    return told if isinstance(told, str) else None
