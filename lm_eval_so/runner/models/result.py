"""What is left of a sample: a line of ``run_results.jsonl``."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from lm_eval_so.runner.models.config import RecordedConfig
from lm_eval_so.runner.models.response import ChatResponse
from lm_eval_so.runner.models.sample import Message
from lm_eval_so.runner.models.value import Value, absent

SCHEMA_VERSION = 2
"""Version of the RunResult line; a reader can tell by it what to expect.

2: ``response`` has what stood in ``raw`` alone (reasoning, tool calls, refusal, all choices, cached
and reasoning tokens, tier, fingerprint), ``raw`` may be left out, and finish reasons have one
vocabulary. Lines of 1 are read, and stay as they are.
"""

Status = Literal["ok", "error", "timeout"]
_ServedBy = Annotated[str | None, Field(exclude_if=absent)]


class RunError(Value):
    """Why a sample has no answer.

    Attributes:
        served_by: The replica of a pool that was asked last.
    """

    error_type: str
    message: str
    status_code: int | None = None
    retryable: bool
    details: dict[str, Any] | None = None
    served_by: _ServedBy = None


class Wait(StrEnum):
    """What a request waits for before it is sent; the keys of ``waited_ms``."""

    SLOT = "slot"
    RATE_LIMIT = "rate_limit"
    BACKOFF = "backoff"
    OUTAGE = "outage"


class Attempt(Value):
    """One request on the wire.

    Attributes:
        latency_ms: From sending to the answer or the failure.
        waited_ms: Time before sending, by what was waited for: a `Wait`.
        served_by: The replica of a pool that was asked last.
    """

    started_at: datetime | None
    latency_ms: float | None
    waited_ms: dict[str, float]
    status_code: int | None
    error_type: str | None
    served_by: _ServedBy = None


class RequestContext(Value):
    """What an evaluator needs beside the answer.

    Attributes:
        sample_key: SHA-256 of the sample's own messages, in hex, if a prompt has changed them: the
            same sample under another prompt has the same.
    """

    sample_tags: list[str]
    sample_metadata: dict[str, Any]
    expected: Any
    sample_key: Annotated[str | None, Field(exclude_if=absent)] = None


class RunResult(Value):
    """The outcome of one sample: a line of ``run_results.jsonl``.

    Exactly one of ``response`` and ``error`` is set. ``latency_ms`` is the last attempt alone,
    ``repeat`` counts from 0, ``cost_usd`` is there where the server tells it, or the model's price
    is known.
    """

    schema_version: int = SCHEMA_VERSION
    sample_id: str
    repeat: int = 0
    dataset_id: str
    backend: str
    trace_id: str
    status: Status
    attempts: int
    latency_ms: float | None
    started_at: datetime
    completed_at: datetime
    request_key: str
    run_config: RecordedConfig
    request_messages: list[Message]
    request_context: RequestContext
    response: ChatResponse | None
    error: RunError | None
    cost_usd: Annotated[float | None, Field(exclude_if=absent)] = None
    attempt_log: Annotated[tuple[Attempt, ...] | None, Field(exclude_if=absent)] = None
