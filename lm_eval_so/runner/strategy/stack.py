"""How a call is made: each strategy wraps the one below it.

The attempt's timeout is innermost and starts when the request leaves, so that waiting for a slot
or for the pace is never charged to the sample. Retry is outermost and the breaker next to it, so
that neither backing off nor an outage holds a slot, and one place turns exceptions into data.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lm_eval_so.runner.backends.base import ChatBackend
from lm_eval_so.runner.config.schema import RunnerOptions
from lm_eval_so.runner.errors import BackendUnusableError, BudgetSpentError
from lm_eval_so.runner.price import Price
from lm_eval_so.runner.strategy.adaptive import Adaptive
from lm_eval_so.runner.strategy.breaker import Breaker
from lm_eval_so.runner.strategy.budget import Budget
from lm_eval_so.runner.strategy.concurrency import Slots, concurrency
from lm_eval_so.runner.strategy.rate_limit import pace_for, rate_limit
from lm_eval_so.runner.strategy.retry import Retry
from lm_eval_so.runner.strategy.timeout import InFlight, timeout
from lm_eval_so.runner.strategy.tokens import TokenEstimate


class Stack:
    """The strategies around one backend's ``send``, with what they know of the run.

    Args:
        backend: What answers.
        options: How the run is carried out.
        stopping: Whether the run is stopping, so that nothing is tried again.
        give_up: Ends the run.
        price: Of the model; a budget in US dollars needs one.
        share_limits_in: Folder through which processes share the limits; None for this one alone.
    """

    def __init__(  # noqa: PLR0913 - the one place where all parts of a run meet
        self,
        backend: ChatBackend,
        options: RunnerOptions,
        *,
        stopping: Callable[[], bool],
        give_up: Callable[[BackendUnusableError | BudgetSpentError], None],
        price: Price | None = None,
        share_limits_in: Path | None = None,
    ) -> None:
        self.in_flight = InFlight()
        self.pace = pace_for(backend.limit_scope, options, share_limits_in)
        self.adaptive: Adaptive | None = None
        if options.max_concurrency != "auto":
            self.slots = Slots(options.max_concurrency)
        elif backend.takes_at_once is not None:
            self.slots = Slots(backend.takes_at_once)
        else:
            self.adaptive = Adaptive(options.auto)
            self.slots = Slots(self.adaptive.limit)
        breaker = Breaker(options.breaker.wait, give_up=give_up, remedy=backend.remedy)
        parameters = {**backend.defaults, **backend.config.parameters}
        self.budget = Budget(options.budget, price, TokenEstimate(parameters), give_up)

        send = timeout(backend.send, options.timeout, self.in_flight)
        send = breaker.gate(send)
        send = rate_limit(send, self.pace, TokenEstimate(parameters))
        send = self.budget.wrap(send)
        send = concurrency(send, self.slots, self.adaptive)
        send = breaker.wrap(send)
        self.settle = Retry(send, options, stopping=stopping)

    def record(self) -> dict[str, Any]:
        """What the strategies found out, for ``run_metadata.json``."""
        history = [] if self.adaptive is None else self.adaptive.history
        return {
            "concurrency": self.slots.limit,
            "concurrency_history": [change._asdict() for change in history],
            "limits_per_minute": self.pace.per_minute,
        }
