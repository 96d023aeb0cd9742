"""A process that takes turns of shared limits: ``python take_turns.py FILE RATE SKEW``.

It writes the monotonic time of each start on a line of its own.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from lm_eval_so.runner.strategy.rate_limit.file import LimitFile
from lm_eval_so.runner.strategy.rate_limit.limiter import RateLimiter
from lm_eval_so.runner.strategy.rate_limit.shared import SharedLimits

AT_ONCE = 16


async def main(path: Path, rate: float, skew: float) -> None:
    limits = SharedLimits(LimitFile(path), wall=lambda: time.time() + skew)
    limiter = RateLimiter(rate, limits=limits)

    async def work() -> None:
        while True:
            await limiter.acquire()
            print(time.monotonic(), flush=True)  # noqa: T201 - what the test reads
            await asyncio.sleep(0.02)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(AT_ONCE):
            tasks.create_task(work())


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])))
