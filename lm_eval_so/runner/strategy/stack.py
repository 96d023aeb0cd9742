"""How a call is made: a list of strategies, each wrapped around the ones before it.

Innermost first, with the reason why each stands where it stands:

- ``FaultBoundary``: turns whatever a backend raises into an error that the others understand.
- ``Timeout``: starts when the request leaves, so that no wait counts against the sample.
- ``ServedBy``: outside of the timeout, which is a failure of a pool's replica too.
- ``spending``: counts a request that leaves at once; nothing inside it waits.
- ``outage.watch``: numbers the requests in the order in which they leave; nothing inside it waits.
- ``breaker.gate``: checks after all waits that the run has not been ended meanwhile.
- ``outage.gate``: checks that the server did not go away while the request waited for its start.
- ``start_rate``: spaces out what the other limits let through, so it is inside them.
- ``RateLimit``: takes a start only for a request that has its budget and its slot.
- ``budget``: reserves before a start is taken; a request that does not fit must not use one up.
- ``outage.gate``: again, so that a request whose server went away while it waited for its slot
  takes no budget and no start.
- ``Concurrency``: a request has its slot before it takes a start, so that it leaves in time.
- ``outage``: a request that waits for a server that is away holds no slot.
- ``evidence``: judges a refusal that no outage explains, and that is not tried again.
- ``Retry``: a request that backs off holds no slot, and each attempt passes all of these again.
- ``evidence.under_way``: counts the samples under way, those that back off included.

What is still an exception then becomes data in one place, `as_outcome`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from lm_eval_so.runner.backends.base import ChatBackend
from lm_eval_so.runner.config.schema import AutoConcurrency, RunnerOptions
from lm_eval_so.runner.errors import BackendUnusableError, BudgetSpentError
from lm_eval_so.runner.request.media import with_files
from lm_eval_so.runner.store.spent import SpentFile
from lm_eval_so.runner.strategy.adaptive.controller import Adaptive
from lm_eval_so.runner.strategy.base import Strategy, fold
from lm_eval_so.runner.strategy.breaker.breaker import Breaker
from lm_eval_so.runner.strategy.breaker.evidence import Evidence
from lm_eval_so.runner.strategy.breaker.outage_guard import OutageGuard
from lm_eval_so.runner.strategy.budget import Budget
from lm_eval_so.runner.strategy.concurrency import Concurrency, Slots
from lm_eval_so.runner.strategy.fault import FaultBoundary
from lm_eval_so.runner.strategy.price import Price
from lm_eval_so.runner.strategy.rate_limit.build import limiter_for
from lm_eval_so.runner.strategy.rate_limit.pauses import Pauses
from lm_eval_so.runner.strategy.rate_limit.start_rate import StartRate
from lm_eval_so.runner.strategy.rate_limit.strategy import RateLimit
from lm_eval_so.runner.strategy.rate_limit.tokens import TokenEstimate
from lm_eval_so.runner.strategy.retry import Retry, as_outcome
from lm_eval_so.runner.strategy.served_by import ServedBy
from lm_eval_so.runner.strategy.spending import Spending
from lm_eval_so.runner.strategy.timeout import InFlight, Timeout
from lm_eval_so.runner.strategy.together import Together

_SAMPLES_A_SLOT = 16
_LEAST_START, _MOST_START = 8, 32
"""Where ``auto`` starts: one slot for so many samples, within these bounds. A higher start would
shorten short runs by a second, and flood a small server of one's own."""


class Stack:
    """The strategies around one backend's ``send``, with what they know of the run.

    Args:
        backend: What answers.
        options: How the run is carried out.
        stopping: Whether the run is stopping, so that nothing is tried again.
        give_up: Ends the run.
        price: Of the model; a budget in US dollars needs one.
        spent: Keeps what the run has taken; None keeps nothing.
        share_limits_in: Folder through which processes share the limits; None for this one alone.
        together: Decides for this stack and for those of other processes; None for this one alone.
        samples: Samples of the run; decides where ``auto`` starts.
        clock: Seconds; never goes back. Every strategy reads it.
        sleep: For so many seconds, on that clock. Every strategy sleeps with it.

    Attributes:
        settle: Makes a call with all strategies around it; returns an Outcome.
        outage: Knows whether the server is away.
        evidence: Knows what refusals come from.
        breaker: How both of them end the run.
        strategies: Innermost first.
    """

    def __init__(  # noqa: PLR0913 - the one place where all parts of a run meet
        self,
        backend: ChatBackend,
        options: RunnerOptions,
        *,
        stopping: Callable[[], bool],
        give_up: Callable[[BackendUnusableError | BudgetSpentError], None],
        price: Price | None = None,
        spent: SpentFile | None = None,
        share_limits_in: Path | None = None,
        together: Together | None = None,
        samples: int = 1,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock, self._sleep = clock, sleep
        self._together = together
        self.in_flight = InFlight(stopping)
        self.limiter = limiter_for(
            backend.limit_scope,
            options,
            share_limits_in,
            limits=together.limits if together else None,
            clock=clock,
            sleep=sleep,
        )
        self.start_rate = StartRate(clock=clock, sleep=sleep)
        self.adaptive = Adaptive(
            *bounds_of(options, backend, samples),
            rate_limited=self.start_rate.teach,
            clock=clock,
        )
        self.slots = Slots(self.adaptive.limit)
        self._estimate = TokenEstimate({**backend.defaults, **backend.config.parameters})
        keeping = (spent.write, spent.write_soon) if spent else ()
        self.spending = Spending(price, self._estimate, *keeping)
        self._assemble(backend, options, stopping, give_up)

    def record(self) -> dict[str, Any]:
        """What the strategies found out, for ``run_metadata.json``."""
        return {
            "concurrency": self.slots.limit,
            "concurrency_history": [change._asdict() for change in self.adaptive.history],
            "limits_per_minute": self.limiter.per_minute,
            "starts_per_s": self.start_rate.per_second,
        }

    def _assemble(
        self,
        backend: ChatBackend,
        options: RunnerOptions,
        stopping: Callable[[], bool],
        give_up: Callable[[BackendUnusableError | BudgetSpentError], None],
    ) -> None:
        together = self._together
        self.breaker = breaker = Breaker(give_up=give_up, remedy=backend.remedy)
        self.outage = outage = OutageGuard(
            options.breaker.wait,
            breaker=breaker,
            in_flight=lambda: self.slots.taken,
            probes=together.probes if together else None,
            stopping=stopping,
            clock=self._clock,
            sleep=self._sleep,
        )
        judge = together.judge if together else None
        self.evidence = Evidence(breaker, judge=judge, stopping=stopping)
        budget: Strategy
        if together is None:
            budget = Budget(options.budget, self.spending, give_up)
        else:
            budget = together.budget(self.spending)
        pauses = Pauses(self.limiter, options.longest_pause, give_up, clock=self._clock)
        self.strategies: list[Strategy] = [
            FaultBoundary(),
            Timeout(options.timeout, self.in_flight, clock=self._clock),
            ServedBy(backend.replicas),
            self.spending,
            outage.watch,
            breaker.gate,
            outage.gate,
            self.start_rate,
            RateLimit(self.limiter, pauses, self._estimate),
            budget,
            outage.gate,
            Concurrency(self.slots, self.adaptive, clock=self._clock),
            outage,
            self.evidence,
            Retry(options, stopping=stopping, sleep=self._sleep),
            self.evidence.under_way,
        ]
        self.settle = as_outcome(fold(with_files(backend.send, backend.files_in), self.strategies))


def bounds_of(
    options: RunnerOptions, backend: ChatBackend, samples: int
) -> tuple[AutoConcurrency, int]:
    """Bounds of what a run has in flight, and where it starts."""
    auto, fixed = options.auto, options.max_concurrency
    if fixed == "auto" and backend.takes_at_once is not None:
        fixed = backend.takes_at_once
    if fixed != "auto":
        return AutoConcurrency(start=fixed, min=fixed, max=fixed), fixed
    most = _MOST_START if backend.hosted else _LEAST_START
    start = auto.start or min(max(samples // _SAMPLES_A_SLOT, _LEAST_START), most)
    return auto, min(max(start, auto.min), auto.max)
