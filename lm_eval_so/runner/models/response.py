"""What a backend answers."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from lm_eval_so.runner.models.finish_reason import finish_reason
from lm_eval_so.runner.models.value import Value, absent

_FinishReason = Annotated[str | None, AfterValidator(finish_reason)]
_Text = Annotated[str | None, Field(exclude_if=absent)]
_Milliseconds = Annotated[float | None, Field(exclude_if=absent)]
_ToolCalls = Annotated[list[dict[str, Any]] | None, Field(exclude_if=absent)]


class TokenUsage(Value):
    """Tokens of one answer, as the server counted them.

    Attributes:
        cached: Those of ``input`` that the server had in its cache, and bills for less.
        cache_written: Those of ``input`` that it put into its cache, and may bill for more.
        reasoning: Those of ``output`` that went into reasoning.
    """

    input: int | None = None
    output: int | None = None
    total: int | None = None
    cached: Annotated[int | None, Field(exclude_if=absent)] = None
    cache_written: Annotated[int | None, Field(exclude_if=absent)] = None
    reasoning: Annotated[int | None, Field(exclude_if=absent)] = None


class AnswerChoice(Value):
    """One of several answers to one question; the fields are those of ChatResponse."""

    text: str
    finish_reason: _FinishReason = None
    reasoning: _Text = None
    tool_calls: _ToolCalls = None
    refusal: _Text = None


class ChatResponse(Value):
    """What a backend answers. An empty ``text`` is an answer. What is None stands in no line.

    Attributes:
        text: Text of the first choice; its refusal where it has no content.
        finish_reason: ``stop``, ``length``, ``content_filter``, ``tool_calls``, ``error``, or
            another word of the server's. Its words for these become these.
        reasoning: What the model thought before its answer, where the server tells.
        tool_calls: Of the first choice, as Chat Completions has them.
        refusal: Why the model did not answer, in its own words.
        choices: All choices, where the server gave more than one.
        status_code: HTTP status.
        tokens: None where the server tells nothing that can be used.
        model: The model that served the request, which may be a dated version of the one asked.
        service_tier: The tier that served the request, which decides its price.
        system_fingerprint: The server's name for the configuration that answered.
        request_id: The provider's id of the request.
        served_by: The replica of a pool that answered; None without a pool.
        time_to_first_token_ms: With ``stream: true``, from sending to the first piece of text,
            reasoning included.
        time_to_first_answer_token_ms: The same without the reasoning.
        headers: Of the answer, a mapping; those that tell limits teach the limiter. Not recorded.
        recorded_headers: Those of them that ``store.record_headers`` names.
        raw: The whole answer, as JSON data; not with ``store.raw=false``.
        cost_usd: US dollars, where the server tells them. Recorded as that of the RunResult.
    """

    text: str
    finish_reason: _FinishReason = None
    reasoning: _Text = None
    tool_calls: _ToolCalls = None
    refusal: _Text = None
    choices: Annotated[tuple[AnswerChoice, ...] | None, Field(exclude_if=absent)] = None
    status_code: int | None = None
    tokens: TokenUsage | None = None
    model: str | None = None
    service_tier: _Text = None
    system_fingerprint: _Text = None
    request_id: str | None = None
    served_by: _Text = None
    time_to_first_token_ms: _Milliseconds = None
    time_to_first_answer_token_ms: _Milliseconds = None
    headers: Annotated[Any, Field(exclude=True, repr=False)] = None
    recorded_headers: Annotated[dict[str, str] | None, Field(exclude_if=absent)] = None
    raw: Annotated[Any, Field(exclude_if=absent)] = None
    cost_usd: Annotated[float | None, Field(exclude=True)] = None
