"""The outcome of a request as a line of the results."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from lm_eval_so.runner.config.schema import StoreOptions
from lm_eval_so.runner.host.clock import steady
from lm_eval_so.runner.masking.options import public_options, shown
from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.models import (
    ChatResponse,
    Outcome,
    RecordedConfig,
    RequestContext,
    RunConfig,
    RunRequest,
    RunResult,
)
from lm_eval_so.runner.request.key import messages_key
from lm_eval_so.runner.strategy.price import Price

_EVERYTHING = StoreOptions()


class Recorder:
    """Makes RunResults; what all of them share is made once.

    Args:
        dataset_id: Id of the dataset.
        configs: By repeat.
        price: Of the model, where it is known.
        redactor: Takes secrets out of the config that stands in every line.
        store: What of an answer a line keeps.
    """

    def __init__(
        self,
        dataset_id: str,
        configs: Sequence[RunConfig],
        price: Price | None = None,
        redactor: Redactor | None = None,
        store: StoreOptions = _EVERYTHING,
    ) -> None:
        public = (redactor or Redactor()).data
        self._price = price
        self._dataset_id = dataset_id
        self._store = store
        self._configs = [
            RecordedConfig(
                backend=config.backend,
                model=config.model,
                parameters=public(shown(config.parameters)),
                backend_options=public(public_options(config.backend_options)),
            )
            for config in configs
        ]

    def record(self, request: RunRequest, outcome: Outcome) -> RunResult:
        """The line that the outcome leaves."""
        journal, sample = request.journal, request.sample
        completed_at = journal.moment(steady()) or datetime.now(UTC)
        failed = "timeout" if outcome.timed_out else "error"
        config = self._configs[request.repeat]
        return RunResult(
            sample_id=sample.id,
            repeat=request.repeat,
            dataset_id=self._dataset_id,
            backend=config.backend,
            trace_id=request.trace_id,
            status="ok" if outcome.error is None else failed,
            attempts=journal.number,
            latency_ms=journal.latency_ms,
            started_at=journal.first_started_at or completed_at,
            completed_at=completed_at,
            request_key=request.request_key,
            run_config=config,
            request_messages=request.messages,
            request_context=RequestContext(
                sample_tags=sample.tags,
                sample_metadata=sample.metadata,
                expected=sample.expected,
                sample_key=_sample_key(request),
            ),
            response=self._kept(outcome.response),
            error=outcome.error,
            cost_usd=self._cost(outcome.response),
            attempt_log=tuple(journal.attempts) if journal.number > 1 else None,
        )

    def _kept(self, response: ChatResponse | None) -> ChatResponse | None:
        """The answer as a line keeps it."""
        names, raw = self._store.record_headers, self._store.raw
        if response is None or (raw and not names):
            return response
        kept: dict[str, Any] = {} if raw else {"raw": None}
        if names and response.headers:
            found = ((name, response.headers.get(name)) for name in names)
            kept["recorded_headers"] = {name: value for name, value in found if value is not None}
        return response.model_copy(update=kept) if kept else response

    def _cost(self, response: ChatResponse | None) -> float | None:
        """US dollars, as the server tells them, else by the price list."""
        if response is None or response.cost_usd is not None:
            return None if response is None else response.cost_usd
        usage = response.tokens
        return self._price.of_usage(usage, response.service_tier) if self._price and usage else None


def _sample_key(request: RunRequest) -> str | None:
    own = request.sample.messages
    return None if request.messages == own else messages_key(own)
