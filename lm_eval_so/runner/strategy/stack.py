"""How a call is made: each strategy wraps the one below it.

The attempt's timeout is innermost and starts when the request leaves, so that waiting for a slot
or for the pace is never charged to the sample. Retry is outermost, so that backing off holds no
slot, and one place turns exceptions into data.
"""

from collections.abc import Callable, Mapping
from typing import Any

from lm_eval_so.runner.backends.base import Send
from lm_eval_so.runner.config.schema import RunnerOptions
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
        parameters: What is sent to the model, for an estimate of the tokens.
    """

    def __init__(
        self,
        send: Send,
        options: RunnerOptions,
        stopping: Callable[[], bool],
        *,
        scope: str | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        self.in_flight = InFlight()
        self.slots = Slots(options.max_concurrency)
        self.pace = pace_for(scope, options)
        send = timeout(send, options.timeout, self.in_flight)
        send = rate_limit(send, self.pace, TokenEstimate(parameters or {}))
        send = concurrency(send, self.slots)
        self.settle = Retry(send, options, stopping=stopping)
