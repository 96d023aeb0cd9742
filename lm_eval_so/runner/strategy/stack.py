"""How a call is made: each strategy wraps the one below it.

The attempt's timeout is innermost and starts when the request leaves, so that waiting for a slot
or for the pace is never charged to the sample. What counts attempts is next to it, so that what is
counted leaves at once. Retry is outermost and the guard against outages next to it, so that neither
backing off nor an outage holds a slot, and one place turns exceptions into data. Between the two,
where what is not worth another attempt is final, the first refusals are looked at.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from lm_eval_so.runner.backends.base import ChatBackend
from lm_eval_so.runner.config.schema import AutoConcurrency, RunnerOptions
from lm_eval_so.runner.errors import BackendUnusableError, BudgetSpentError
from lm_eval_so.runner.strategy.adaptive.controller import Adaptive
from lm_eval_so.runner.strategy.breaker.breaker import Breaker
from lm_eval_so.runner.strategy.breaker.evidence import Evidence
from lm_eval_so.runner.strategy.breaker.outage_guard import OutageGuard
from lm_eval_so.runner.strategy.budget import Budget
from lm_eval_so.runner.strategy.concurrency import Slots, concurrency
from lm_eval_so.runner.strategy.fault import contained
from lm_eval_so.runner.strategy.price import Price
from lm_eval_so.runner.strategy.rate_limit.pauses import Pauses
from lm_eval_so.runner.strategy.rate_limit.rate_limit import limiter_for, rate_limit
from lm_eval_so.runner.strategy.rate_limit.start_rate import StartRate, start_rate
from lm_eval_so.runner.strategy.rate_limit.tokens import TokenEstimate
from lm_eval_so.runner.strategy.retry import Retry
from lm_eval_so.runner.strategy.spending import Spending
from lm_eval_so.runner.strategy.timeout import InFlight, timeout
from lm_eval_so.runner.summary.amount import Amount

_SAMPLES_A_SLOT = 16
_LEAST_START, _MOST_START = 8, 32
"""Where ``auto`` starts: a slot for so many samples, within these bounds. More at once for short
runs would shorten them by a second; a small server of one's own is started on gently."""


class Stack:
    """The strategies around one backend's ``send``, with what they know of the run.

    Args:
        backend: What answers.
        options: How the run is carried out.
        stopping: Whether the run is stopping, so that nothing is tried again.
        give_up: Ends the run.
        price: Of the model; a budget in US dollars needs one.
        keep_spent: Stores what the run has taken, before each attempt.
        keep_spent_soon: The same after an attempt, with the next or within a second or two.
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
        keep_spent: Callable[[Amount], None] = lambda _: None,
        keep_spent_soon: Callable[[Amount], None] = lambda _: None,
        share_limits_in: Path | None = None,
        samples: int = 1,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.in_flight = InFlight()
        self.limiter = limiter_for(
            backend.limit_scope, options, share_limits_in, clock=clock, sleep=sleep
        )
        self.start_rate = StartRate(clock=clock, sleep=sleep)
        self.adaptive = Adaptive(
            *_bounds(options, backend, samples),
            rate_limited=self.start_rate.teach,
            clock=clock,
        )
        self.slots = Slots(self.adaptive.limit)
        breaker = Breaker(give_up=give_up, remedy=backend.remedy)
        outage = OutageGuard(
            options.breaker.wait,
            breaker=breaker,
            in_flight=lambda: self.slots.taken,
            stopping=stopping,
            clock=clock,
            sleep=sleep,
        )
        self.evidence = Evidence(breaker, stopping=stopping)
        parameters = {**backend.defaults, **backend.config.parameters}
        self.spending = Spending(price, TokenEstimate(parameters), keep_spent, keep_spent_soon)
        budget = Budget(options.budget, self.spending, give_up)

        send = timeout(contained(backend.send), options.timeout, self.in_flight, clock=clock)
        send = self.spending.wrap(send)
        send = outage.watch(send)
        send = outage.gate(breaker.gate(send))  # twice: for who waited for a slot, for the pace
        send = start_rate(send, self.start_rate)
        pauses = Pauses(self.limiter, options.longest_pause, give_up, clock=clock)
        send = rate_limit(send, self.limiter, pauses, TokenEstimate(parameters))
        send = budget.wrap(send)
        send = outage.gate(send)
        send = concurrency(send, self.slots, self.adaptive, clock=clock)
        send = outage.wrap(send)
        send = self.evidence.wrap(send)
        retry = Retry(send, options, stopping=stopping, sleep=sleep)
        self.settle = self.evidence.counted(retry)

    def record(self) -> dict[str, Any]:
        """What the strategies found out, for ``run_metadata.json``."""
        return {
            "concurrency": self.slots.limit,
            "concurrency_history": [change._asdict() for change in self.adaptive.history],
            "limits_per_minute": self.limiter.per_minute,
            "starts_per_s": self.start_rate.per_second,
        }


def _bounds(
    options: RunnerOptions, backend: ChatBackend, samples: int
) -> tuple[AutoConcurrency, int]:
    """Bounds of what is in flight, and where it starts."""
    auto, fixed = options.auto, options.max_concurrency
    if fixed == "auto" and backend.takes_at_once is not None:
        fixed = backend.takes_at_once
    if fixed != "auto":
        return AutoConcurrency(start=fixed, min=fixed, max=fixed), fixed
    most = _MOST_START if backend.hosted else _LEAST_START
    start = auto.start or min(max(samples // _SAMPLES_A_SLOT, _LEAST_START), most)
    return auto, min(max(start, auto.min), auto.max)
