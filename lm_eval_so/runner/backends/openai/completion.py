"""A completion's body to a ChatResponse. A 200 that is no completion is an error, not an answer."""

import json
from collections.abc import Mapping
from typing import Any

import orjson

from lm_eval_so.runner.errors import InvalidResponseError, error_class
from lm_eval_so.runner.models import ChatResponse, TokenUsage

_OK = 200
_LONGEST_EXCERPT = 500  # characters


def read_json(body: bytes) -> object:
    """The body's JSON; what only Python's own parser takes (a lone surrogate) is replaced by ``?``.

    Raises:
        InvalidResponseError: It is no JSON.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        return orjson.loads(
            json.dumps(json.loads(body), ensure_ascii=False).encode(errors="replace")
        )
    except (ValueError, RecursionError) as error:
        raise _invalid(f"no JSON ({error})", body.decode(errors="replace")) from error


def parse_completion(body: object, status_code: int, headers: Mapping[str, str]) -> ChatResponse:
    """The first choice as text, all of it as ``raw``.

    Raises:
        InvalidResponseError: The body is no completion.
        BackendError: The body is an error, as some gateways send with a 200.
    """
    if not isinstance(body, dict):
        raise _invalid("no JSON object", body)
    if body.get("error"):
        raise _reported(body["error"], status_code)
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
        raise _invalid("no choices", body)
    choice = choices[0]
    if not (isinstance(choice, dict) and isinstance(choice.get("message"), dict)):
        raise _invalid("a choice without a message", body)
    content = choice["message"].get("content")
    if not (content is None or isinstance(content, str | list)):
        raise _invalid("a content that is no text", body)
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


def _reported(error: object, status_code: int) -> Exception:
    fields = error if isinstance(error, dict) else {"message": str(error)}
    code = fields.get("code")
    message = str(fields.get("message") or fields)
    if isinstance(code, int) and code > _OK:
        return error_class(code)(message, status_code=code, details=fields)
    return InvalidResponseError(message, status_code=status_code, details=fields)


def _invalid(reason: str, body: object) -> InvalidResponseError:
    excerpt = body if isinstance(body, str) else orjson.dumps(body).decode()
    return InvalidResponseError(
        f"the answer is no completion: {reason}",
        status_code=_OK,
        details={"body": excerpt[:_LONGEST_EXCERPT]},
    )
