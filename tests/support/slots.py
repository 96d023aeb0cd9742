"""A fixed number of slots around a ``send``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from lm_eval_so.runner.config.schema import AutoConcurrency
from lm_eval_so.runner.strategy.adaptive.controller import Adaptive
from lm_eval_so.runner.strategy.concurrency import Concurrency, Slots

if TYPE_CHECKING:
    from collections.abc import Callable

    from lm_eval_so.runner.backends.base import Send


def fixed(
    send: Send, limit: int, *, clock: Callable[[], float] = time.monotonic
) -> tuple[Send, Slots]:
    """``send`` with so many slots, and the slots."""
    slots = Slots(limit)
    adaptive = Adaptive(AutoConcurrency(min=limit, max=limit), limit, clock=clock)
    return Concurrency(slots, adaptive, clock=clock).wrap(send), slots
