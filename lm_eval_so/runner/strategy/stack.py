"""How a call is made: each strategy wraps the one below it.

The attempt's timeout is innermost and starts when the request leaves, so that waiting for a slot
or for the pace is never charged to the sample. Retry is outermost, so that backing off holds no
slot, and one place turns exceptions into data.
"""

from collections.abc import Callable

from lm_eval_so.runner.backends.base import Send
from lm_eval_so.runner.config.schema import RunnerOptions
from lm_eval_so.runner.strategy.concurrency import Slots, concurrency
from lm_eval_so.runner.strategy.rate_limit import Pace, rate_limit
from lm_eval_so.runner.strategy.retry import Retry
from lm_eval_so.runner.strategy.timeout import InFlight, timeout


class Stack:
    """The strategies around one backend's ``send``, with what they know of the run.

    Args:
        stopping: Whether the run is stopping, so that nothing is tried again.
    """

    def __init__(self, send: Send, options: RunnerOptions, stopping: Callable[[], bool]) -> None:
        self.in_flight = InFlight()
        self.slots = Slots(options.max_concurrency)
        self.pace = Pace(options.rate_limit)
        send = timeout(send, options.timeout, self.in_flight)
        send = rate_limit(send, self.pace)
        send = concurrency(send, self.slots)
        self.settle = Retry(send, options, stopping=stopping)
