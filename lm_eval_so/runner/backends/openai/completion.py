"""A completion's body to a ChatResponse. A 200 that is no completion is an error, not an answer."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from lm_eval_so.runner.backends.http.error_response import without_an_answer
from lm_eval_so.runner.backends.http.header import request_id
from lm_eval_so.runner.backends.http.json_body import invalid_body
from lm_eval_so.runner.backends.openai.error_in_answer import failed_finish
from lm_eval_so.runner.backends.openai.message import answer_of, message_of
from lm_eval_so.runner.backends.openai.usage import token_usage
from lm_eval_so.runner.backends.wires.cost import reported_cost
from lm_eval_so.runner.backends.wires.error_in_answer import error_within
from lm_eval_so.runner.errors import InvalidResponseError
from lm_eval_so.runner.models import AnswerChoice, ChatResponse

NO_COMPLETION = "the answer is no completion"
"""How the message of each error begins that is about the shape of an answer."""

_WRAPPERS = ("result", "data")  # Workers AI; gateways with a code and a message beside it


class AnswerOptions(NamedTuple):
    """How an answer is read.

    Attributes:
        choices: How many were asked for.
        think_tags: Whether reasoning stands in the text, between ``<think>`` tags.
    """

    choices: int = 1
    think_tags: bool = False


def parse_completion(
    body: object, status_code: int, headers: Mapping[str, str], *, think_tags: bool = False
) -> ChatResponse:
    """The first choice as text, all of it as ``raw``.

    Raises:
        InvalidResponseError: The body is no completion.
        BackendError: The body is an error, as some gateways send with a 200.
    """
    if not isinstance(body, dict):
        raise without_an_answer(not_a_completion("no JSON object", body), body)
    if error := error_within(body):
        raise error
    if wrapped := _wrapped_in(body):
        response = parse_completion(wrapped, status_code, headers, think_tags=think_tags)
        return response.model_copy(update={"raw": body})
    choice, message = _first_choice(body)
    usage = body.get("usage") or choice.get("usage")  # Moonshot's streams
    first = answer_of(choice, message, think_tags=think_tags)
    return ChatResponse(
        **first,
        choices=_all_choices(body["choices"], first, think_tags=think_tags),
        status_code=status_code,
        tokens=token_usage(usage),
        model=_text_or_none(body.get("model")),
        service_tier=_text_or_none(body.get("service_tier")),
        system_fingerprint=_text_or_none(body.get("system_fingerprint")),
        request_id=request_id(headers),
        headers=headers,
        cost_usd=reported_cost(headers, usage),
        raw=body,
    )


def not_a_completion(reason: str, body: object) -> InvalidResponseError:
    """What to raise for a 200 with this body."""
    return invalid_body(f"{NO_COMPLETION}: {reason}", body)


def _wrapped_in(body: dict[str, Any]) -> dict[str, Any] | None:
    """The completion that stands in the place of another; None where there is none."""
    if "choices" in body:
        return None
    inner = (body.get(name) for name in _WRAPPERS)
    return next((each for each in inner if isinstance(each, dict) and each.get("choices")), None)


def _first_choice(body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The first choice and its message."""
    choices = body.get("choices")
    if not (isinstance(choices, list) and choices):
        raise without_an_answer(not_a_completion("no choices", body), body)
    for choice in choices:
        if isinstance(choice, dict) and (error := error_within(choice) or failed_finish(choice)):
            raise error
    choice = choices[0]
    message = message_of(choice) if isinstance(choice, dict) else None
    if message is None:
        raise not_a_completion("a choice without a message", body)
    return choice, message


def _all_choices(
    choices: list[Any], first: dict[str, Any], *, think_tags: bool
) -> tuple[AnswerChoice, ...] | None:
    """All choices that are there, where there are several."""
    if len(choices) < 2:  # noqa: PLR2004 - one is none to choose from
        return None
    others = [
        answer_of(choice, message, think_tags=think_tags)
        for choice in choices[1:]
        if isinstance(choice, dict) and (message := message_of(choice)) is not None
    ]
    return tuple(AnswerChoice(**found) for found in (first, *others))


def _text_or_none(told: object) -> str | None:
    return told if isinstance(told, str) else None
