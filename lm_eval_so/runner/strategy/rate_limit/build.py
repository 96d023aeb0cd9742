"""Builds the limiter of a run, which shares its limits with other runs."""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from lm_eval_so.runner.config.schema import RunnerOptions
from lm_eval_so.runner.host.clock import monotonic_of
from lm_eval_so.runner.strategy.rate_limit.file import LimitFile
from lm_eval_so.runner.strategy.rate_limit.limiter import RateLimiter
from lm_eval_so.runner.strategy.rate_limit.limits import Limits
from lm_eval_so.runner.strategy.rate_limit.shared import SharedLimits

_SHARED: dict[tuple[str, Callable[[], float]], Limits] = {}


def limiter_for(  # noqa: PLR0913 - clock and sleep are the tests'
    scope: str | None,
    options: RunnerOptions,
    shared_in: Path | None = None,
    *,
    limits: Limits | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> RateLimiter:
    """The limiter of a run.

    Args:
        scope: Names the endpoint, model and key; runs in one process that name the same share
            their limits. None shares with nobody.
        options: The limits that are configured.
        shared_in: Folder through which other processes share them too.
        limits: To be used in the place of all these.
        clock: Seconds; never goes back.
        sleep: For so many seconds.
    """
    if limits is not None:
        pass
    elif scope is None:
        limits = Limits(clock)
    elif shared_in is None:
        limits = _SHARED.setdefault((scope, clock), Limits(clock))
    else:
        name = hashlib.sha256(scope.encode()).hexdigest()[:16]
        file = LimitFile(shared_in / f"{name}.json", clock=clock, sleep=sleep)
        limits = SharedLimits(
            file,
            longest_pause=options.longest_pause,
            clock=clock,
            clock_of=monotonic_of() if clock is time.monotonic else None,
        )
    return RateLimiter(
        options.rate_limit,
        per_minute={
            "requests": options.requests_per_minute,
            "tokens": options.tokens_per_minute,
        },
        limits=limits,
        sleep=sleep,
    )
