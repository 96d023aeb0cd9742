"""What a backend answers."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from lm_eval_so.runner.models.value import Value, absent


class TokenUsage(Value):
    """Tokens of one answer, as the server counted them."""

    input: int | None = None
    output: int | None = None
    total: int | None = None


class ChatResponse(Value):
    """What a backend answers. An empty ``text`` is an answer.

    Attributes:
        text: Text of the first choice; its refusal where it has no content.
        status_code: HTTP status.
        tokens: None where the server tells nothing that can be used.
        model: The model that served the request, which may be a dated version of the one asked.
        request_id: The provider's id of the request.
        time_to_first_token_ms: With ``stream: true``, from sending to the first piece of text.
        raw: The whole answer, as JSON data.
        headers: Of the answer, a mapping; those that tell limits teach the limiter. Not recorded.
        cost_usd: US dollars, where the server tells them. Recorded as that of the RunResult.
    """

    text: str
    finish_reason: str | None = None
    status_code: int | None = None
    tokens: TokenUsage | None = None
    model: str | None = None
    request_id: str | None = None
    time_to_first_token_ms: Annotated[float | None, Field(exclude_if=absent)] = None
    raw: Any = None
    headers: Annotated[Any, Field(exclude=True, repr=False)] = None
    cost_usd: Annotated[float | None, Field(exclude=True)] = None
