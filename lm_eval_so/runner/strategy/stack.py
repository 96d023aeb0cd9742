"""How a call is made: each strategy wraps the one below it.

The attempt's timeout is innermost and starts when the request leaves, so that waiting for a slot
or for the pace is never charged to the sample. Retry is outermost, so that backing off holds no
slot, and one place turns exceptions into data.
"""

from collections.abc import Callable, Mapping
from typing import Any

from lm_eval_so.runner.backends.base import Send
from lm_eval_so.runner.config.schema import RunnerOptions
from lm_eval_so.runner.strategy.adaptive import Adaptive
from lm_eval_so.runner.strategy.concurrency import Slots, concurrency
from lm_eval_so.runner.strategy.rate_limit import pace_for, rate_limit
from lm_eval_so.runner.strategy.retry import Retry
from lm_eval_so.runner.strategy.timeout import InFlight, timeout
from lm_eval_so.runner.strategy.tokens import TokenEstimate


class Stack:
    """The strategies around one backend's ``send``, with what they know of the run.

    Args:
        stopping: Whether the run is stopping, so that nothing is tried again.
        scope: Names who shares the provider's limits; see `ChatBackend.limit_scope`.
        takes_at_once: Requests that the backend takes, where that is known.
        parameters: What is sent to the model, for an estimate of the tokens.
    """

    def __init__(  # noqa: PLR0913 - what a backend tells of itself
        self,
        send: Send,
        options: RunnerOptions,
        stopping: Callable[[], bool],
        *,
        scope: str | None = None,
        takes_at_once: int | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        self.in_flight = InFlight()
        self.adaptive: Adaptive | None = None
        if options.max_concurrency != "auto":
            self.slots = Slots(options.max_concurrency)
        elif takes_at_once is not None:
            self.slots = Slots(takes_at_once)
        else:
            self.adaptive = Adaptive(options.auto)
            self.slots = Slots(self.adaptive.limit)
        self.pace = pace_for(scope, options)
        send = timeout(send, options.timeout, self.in_flight)
        send = rate_limit(send, self.pace, TokenEstimate(parameters or {}))
        send = concurrency(send, self.slots, self.adaptive)
        self.settle = Retry(send, options, stopping=stopping)

    def record(self) -> dict[str, Any]:
        """What the strategies found out, for ``run_metadata.json``."""
        history = [] if self.adaptive is None else self.adaptive.history
        return {
            "concurrency": self.slots.limit,
            "concurrency_history": [change._asdict() for change in history],
            "limits_per_minute": self.pace.per_minute,
        }
