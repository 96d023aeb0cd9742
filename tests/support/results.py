"""Results and a clock, for what is shown of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lm_eval_so.runner.models import (
    ChatResponse,
    RecordedConfig,
    RequestContext,
    RunError,
    RunResult,
    TokenUsage,
)
from lm_eval_so.runner.summary.summarise import Summary, Totals

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NOW = datetime(2026, 11, 1, tzinfo=UTC)
FAILURE = RunError(error_type="InternalServerError", message="down", retryable=True)


def result(
    sample_id: str = "s", *, text: str = "", tokens: int | None = 10, fails: bool = False
) -> RunResult:
    usage = None if tokens is None else TokenUsage(input=0, output=tokens, total=tokens)
    return RunResult(
        sample_id=sample_id,
        dataset_id="d",
        backend="b",
        trace_id="t",
        status="error" if fails else "ok",
        attempts=3,
        latency_ms=1,
        started_at=NOW,
        completed_at=NOW,
        request_key="k",
        run_config=RecordedConfig(backend="b", model="m", parameters={}, backend_options={}),
        request_messages=[{"role": "user", "content": "q"}],
        request_context=RequestContext(sample_tags=[], sample_metadata={}, expected=None),
        response=None if fails else ChatResponse(text=text, tokens=usage),
        error=FAILURE if fails else None,
    )


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def summed(lines: Iterable[Mapping[str, Any]], total: int) -> Summary:
    """What lines of a results file, at most one a sample, add up to."""
    totals = Totals()
    for line in lines:
        totals.add(line)
    return totals.summary(total)
