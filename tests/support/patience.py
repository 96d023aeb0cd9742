"""Waits for what another process or thread does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_S = 120.0
"""Ends a wait that has no end; how slow a machine is tells nothing about what is tested."""


def wait_for(true: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
    """Returns as soon as it is so."""
    deadline = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < deadline, f"not within {patience_s:g} s"
        time.sleep(0.01)
