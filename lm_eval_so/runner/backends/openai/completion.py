"""A completion's body to a ChatResponse. A 200 that is no completion is an error, not an answer."""

from collections.abc import Mapping
from typing import Any

from lm_eval_so.runner.backends.openai.body import not_a_completion
from lm_eval_so.runner.backends.openai.refusal import from_event
from lm_eval_so.runner.errors import BackendError
from lm_eval_so.runner.models import ChatResponse, TokenUsage


def parse_completion(body: object, status_code: int, headers: Mapping[str, str]) -> ChatResponse:
    """The first choice as text, all of it as ``raw``.

    Raises:
        InvalidResponseError: The body is no completion.
        BackendError: The body is an error, as some gateways send with a 200.
    """
    if not isinstance(body, dict):
        raise not_a_completion("no JSON object", body)
    if body.get("error"):
        raise _reported(body["error"])
    choice = _first_choice(body)
    message = choice["message"]
    model, finish_reason = body.get("model"), choice.get("finish_reason")
    return ChatResponse(
        text=_text(message),
        finish_reason=finish_reason if isinstance(finish_reason, str) else None,
        status_code=status_code,
        tokens=_tokens(body.get("usage")),
        model=model if isinstance(model, str) else None,
        request_id=headers.get("x-request-id"),
        headers=headers,
        raw=body,
    )


def _first_choice(body: dict[str, Any]) -> dict[str, Any]:
    choices = body.get("choices")
    if not (isinstance(choices, list) and choices):
        raise not_a_completion("no choices", body)
    choice = choices[0]
    if not (isinstance(choice, dict) and isinstance(choice.get("message"), dict)):
        raise not_a_completion("a choice without a message", body)
    content = choice["message"].get("content")
    if not (content is None or isinstance(content, str | list)):
        raise not_a_completion("a content that is no text", body)
    return choice


def _text(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict))
        content = "".join(part for part in parts if isinstance(part, str))
    refusal = message.get("refusal")
    return content or (refusal if isinstance(refusal, str) else "")


def _tokens(usage: object) -> TokenUsage | None:
    if not isinstance(usage, dict):
        return None
    counts = (usage.get(name) for name in ("prompt_tokens", "completion_tokens", "total_tokens"))
    asked, answered, total = (count if isinstance(count, int) else None for count in counts)
    if total is None and asked is not None and answered is not None:
        total = asked + answered
    return TokenUsage(input=asked, output=answered, total=total)


def _reported(error: object) -> BackendError:
    fields = error if isinstance(error, dict) else {"message": str(error)}
    return from_event(fields, str(fields.get("message") or fields))
