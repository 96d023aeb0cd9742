"""The first refusals of all workers together: whether they end the run."""

import asyncio
from collections.abc import Sequence

from lm_eval_so.runner.engine.coordinator.refusals import Cause, Refusal
from lm_eval_so.runner.engine.remote.port import Port, surely
from lm_eval_so.runner.strategy.breaker.breaker import Breaker
from lm_eval_so.runner.strategy.breaker.evidence import Evidence, HeldRefusal


class RemoteJudge:
    """See `Judge`: reports what this worker holds, one call at a time, made by `run`.

    Args:
        port: To the coordinator.

    Attributes:
        evidence: Of this worker.
        breaker: Knows the sentence of a refusal.
    """

    evidence: Evidence
    breaker: Breaker

    def __init__(self, port: Port) -> None:
        self._port = port
        self._held: Sequence[HeldRefusal] = ()
        self._stuck = False
        self._news = asyncio.Event()

    def weigh(self, held: Sequence[HeldRefusal], *, stuck: bool) -> None:
        self._held, self._stuck = held, stuck
        self._news.set()

    def told(self, cause: Cause) -> None:
        """Takes the word of the coordinator."""
        if cause is Cause.SAMPLE:
            self.evidence.of_samples()
        elif cause is Cause.SETTING:
            self.evidence.of_the_setting()

    async def run(self) -> None:
        """Makes the calls, until it is cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            refusals = [await self._refusal(held) for held in self._held]
            stuck = self._stuck
            self.told(await surely(lambda: self._port.refused(refusals, stuck=stuck)))  # noqa: B023 - awaited at once

    async def _refusal(self, held: HeldRefusal) -> Refusal:
        words = await self.breaker.words(held.error, held.error.message)
        return Refusal(held.sample_id, held.kind, words)
