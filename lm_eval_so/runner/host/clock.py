"""A clock that only goes forward, also while the system sleeps."""

import time
from collections.abc import Callable
from pathlib import Path


def _steady() -> Callable[[], float]:
    if hasattr(time, "CLOCK_BOOTTIME"):  # Linux, where CLOCK_MONOTONIC stands still meanwhile
        boot_time = time.CLOCK_BOOTTIME
        return lambda: time.clock_gettime(boot_time)
    return time.monotonic


steady = _steady()
"""Seconds from some moment on; for spans that a wall clock would tell wrongly when it is set."""


def monotonic_of() -> str | None:
    """Names the clock that `time.monotonic` reads: processes that name the same can compare theirs.

    None where the system does not tell.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/time').readlink()}"
    except OSError:
        return None
