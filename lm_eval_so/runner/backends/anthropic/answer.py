"""A message's body to a ChatResponse. A 200 that is no message is an error, not an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from lm_eval_so.runner.backends.http.error_response import without_an_answer
from lm_eval_so.runner.backends.http.header import request_id
from lm_eval_so.runner.backends.http.json_body import invalid_body
from lm_eval_so.runner.backends.http.numbers import whole_number
from lm_eval_so.runner.backends.wires.cost import reported_cost
from lm_eval_so.runner.backends.wires.error_in_answer import error_within
from lm_eval_so.runner.backends.wires.texts import text_of
from lm_eval_so.runner.models import ChatResponse, TokenUsage
from lm_eval_so.runner.text.sanitise import sanitise_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NO_MESSAGE = "the answer is no message"
"""How the message of each error begins that is about the shape of an answer."""
_BETWEEN = "\n\n"  # blocks of thinking
_INPUT = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
"""Each counts what the others do not."""

Block = dict[str, Any]


def parse_message(body: object, status_code: int, headers: Mapping[str, str]) -> ChatResponse:
    """The text of all its blocks, all of it as ``raw``.

    Raises:
        InvalidResponseError: The body is no message.
        BackendError: It is an error, as some gateways send with a 200.
    """
    if not isinstance(body, dict):
        raise without_an_answer(invalid_body(f"{NO_MESSAGE}: no JSON object", body), body)
    if error := error_within(body):
        raise error
    content = body.get("content")
    if not isinstance(content, str | list | dict):
        raise without_an_answer(invalid_body(f"{NO_MESSAGE}: no content", body), body)
    listed = content if isinstance(content, list) else [content]
    blocks = [block for block in listed if isinstance(block, dict)]
    refusal = _refusal(body)
    usage = body.get("usage")
    return ChatResponse(
        text=text_of(content, NO_MESSAGE) or refusal or "",
        finish_reason=_text_or_none(body.get("stop_reason")),
        reasoning=_BETWEEN.join(_thoughts(blocks)) or None,
        tool_calls=list(_calls(blocks)) or None,
        refusal=refusal,
        status_code=status_code,
        tokens=token_usage(usage),
        model=_text_or_none(body.get("model")),
        service_tier=_text_or_none(usage.get("service_tier")) if isinstance(usage, dict) else None,
        request_id=request_id(headers),
        headers=headers,
        cost_usd=reported_cost(headers, usage),
        raw=body,
    )


def token_usage(usage: object) -> TokenUsage | None:
    """The tokens; None where nothing usable is told, so that an estimate stands.

    ``input_tokens`` leaves out what was read from the cache or written into it; our ``input`` has
    all of it.
    """
    if not isinstance(usage, dict):
        return None
    counts = [whole_number(usage.get(name)) for name in _INPUT]
    known = [count for count in counts if count is not None]
    asked = sum(known) if known else None
    answered = whole_number(usage.get("output_tokens"))
    if asked is answered is None:
        return None
    details = usage.get("output_tokens_details")
    thinking = details.get("thinking_tokens") if isinstance(details, dict) else None
    return TokenUsage(
        input=asked,
        output=answered,
        total=None if asked is None or answered is None else asked + answered,
        cached=counts[-1],
        cache_written=counts[1] or None,
        reasoning=whole_number(thinking),
    )


def _refusal(body: Mapping[str, Any]) -> str | None:
    """Why the model did not answer, where it is told with a refusal."""
    details = body.get("stop_details")
    if body.get("stop_reason") != "refusal" or not isinstance(details, dict):
        return None
    return _text_or_none(details.get("explanation") or details.get("category"))


def _thoughts(blocks: list[Block]) -> Iterator[str]:
    for block in blocks:
        match block:
            case {"type": "thinking", "thinking": str(thought)}:
                yield thought


def _calls(blocks: list[Block]) -> Iterator[Block]:
    """The calls of the sample's tools, as Chat Completions has them."""
    for block in blocks:
        match block:
            case {"type": "tool_use", "name": name}:
                given = block.get("input", {})  # a text, where a stream was cut by max_tokens
                if not isinstance(given, str):
                    given = orjson.dumps(sanitise_json(given)).decode()
                function = {"name": name, "arguments": given}
                yield {"id": block.get("id"), "type": "function", "function": function}


def _text_or_none(told: object) -> str | None:
    return told if isinstance(told, str) and told else None
