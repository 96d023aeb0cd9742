"""A completion's body to a ChatResponse. A 200 that is no completion is an error, not an answer."""

from collections.abc import Mapping
from typing import Any

from lm_eval_so.runner.backends.http.error_response import without_an_answer
from lm_eval_so.runner.backends.http.header import request_id
from lm_eval_so.runner.backends.http.json_body import invalid_body
from lm_eval_so.runner.backends.openai.choice import finish_reason_of, is_part
from lm_eval_so.runner.backends.openai.error_in_answer import error_within, failed_finish
from lm_eval_so.runner.backends.openai.usage import reported_cost, token_usage
from lm_eval_so.runner.errors import InvalidResponseError
from lm_eval_so.runner.models import ChatResponse

NO_COMPLETION = "the answer is no completion"
"""How the message of each error begins that is about the shape of an answer."""


def parse_completion(body: object, status_code: int, headers: Mapping[str, str]) -> ChatResponse:
    """The first choice as text, all of it as ``raw``.

    Raises:
        InvalidResponseError: The body is no completion.
        BackendError: The body is an error, as some gateways send with a 200.
    """
    if not isinstance(body, dict):
        raise without_an_answer(not_a_completion("no JSON object", body), body)
    if error := error_within(body):
        raise error
    choice = _first_choice(body)
    message = choice["message"]
    model, finish_reason = body.get("model"), finish_reason_of(choice)
    usage = body.get("usage") or choice.get("usage")  # Moonshot's streams
    return ChatResponse(
        text=_text(message),
        finish_reason=finish_reason if isinstance(finish_reason, str) else None,
        status_code=status_code,
        tokens=token_usage(usage),
        model=model if isinstance(model, str) else None,
        request_id=request_id(headers),
        headers=headers,
        cost_usd=reported_cost(headers, usage),
        raw=body,
    )


def not_a_completion(reason: str, body: object) -> InvalidResponseError:
    """What to raise for a 200 with this body."""
    return invalid_body(f"{NO_COMPLETION}: {reason}", body)


def _first_choice(body: dict[str, Any]) -> dict[str, Any]:
    choices = body.get("choices")
    if not (isinstance(choices, list) and choices):
        raise without_an_answer(not_a_completion("no choices", body), body)
    for choice in choices:
        if isinstance(choice, dict) and (error := error_within(choice) or failed_finish(choice)):
            raise error
    choice = choices[0]
    if not (isinstance(choice, dict) and isinstance(choice.get("message"), dict)):
        raise not_a_completion("a choice without a message", body)
    content = choice["message"].get("content")
    if not (content is None or isinstance(content, str | list) or is_part(content)):
        raise not_a_completion("a content that is no text", body)
    return choice


def _text(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list | dict):
        content = _text_of_part(content)
    refusal = message.get("refusal")
    return content or (refusal if isinstance(refusal, str) else "")


def _text_of_part(part: object) -> str:
    """The text of a part of a content: an object, a list of parts or a plain string."""
    match part:
        case str():
            return part
        case list():
            return "".join(map(_text_of_part, part))
        case {"type": "thinking" | "reasoning"}:
            return ""
        case {"text": text} | {"value": text}:  # OpenAI's Assistants: {"text": {"value": ...}}
            return _text_of_part(text)
    return ""
