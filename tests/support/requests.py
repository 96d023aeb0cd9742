"""Requests of samples, as a run makes them, and a feed of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lm_eval_so.runner.models import Journal, RunConfig, RunRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lm_eval_so.runner.engine.base import Stop
    from lm_eval_so.runner.models import TestSample


def request_of(
    sample: TestSample,
    index: int,
    config: RunConfig,
    key: str,
    trace_id: str,
    repeat: int = 0,
    *,
    journal: Journal | None = None,
) -> RunRequest:
    return RunRequest(
        sample,
        index,
        config,
        key,
        trace_id,
        sample.messages,
        sample.parameters,
        repeat,
        journal=journal or Journal(),
    )


class FeedOf:
    """A feed of what an iterator yields."""

    def __init__(self, requests: Iterator[RunRequest], stop: Stop) -> None:
        self._requests = requests
        self._stop = stop

    async def next(self) -> RunRequest | None:
        return None if self._stop else next(self._requests, None)
