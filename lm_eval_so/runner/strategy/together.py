"""What decides for the stacks of several processes together."""

from collections.abc import Callable
from dataclasses import dataclass

from lm_eval_so.runner.strategy.base import Strategy
from lm_eval_so.runner.strategy.breaker.evidence import Judge
from lm_eval_so.runner.strategy.breaker.outage_guard import Probes
from lm_eval_so.runner.strategy.rate_limit.limits import Limits
from lm_eval_so.runner.strategy.spending import Spending


@dataclass(frozen=True, kw_only=True)
class Together:
    """Takes the place of parts that a stack would make for itself alone.

    Attributes:
        limits: Give starts.
        budget: Made of what counts the requests of this stack.
        probes: Decide who probes a server that is away.
        judge: Decides what the first refusals come from.
    """

    limits: Limits
    budget: Callable[[Spending], Strategy]
    probes: Probes
    judge: Judge
