"""A toy engine: asks in lots of 100, with no strategy at all."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

from lm_eval_so.runner.engine.base import Live
from lm_eval_so.runner.errors import BackendError
from lm_eval_so.runner.models import Outcome

if TYPE_CHECKING:
    from lm_eval_so.runner.engine.base import Deliver, EngineSetup, Feed
    from lm_eval_so.runner.models import RunRequest

LOT = 100


class LotsEngine:
    def __init__(self, setup: EngineSetup) -> None:
        self._backend = setup.backend
        self._stop = setup.stop
        self._asked = 0
        self._lots: list[int] = []

    async def __aenter__(self) -> Self:
        await self._backend.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._backend.__aexit__(None, None, None)

    async def run(self, feed: Feed, deliver: Deliver) -> None:
        try:
            while lot := await self._lot(feed):
                outcomes = await asyncio.gather(*map(self._ask, lot))
                for request, outcome in zip(lot, outcomes, strict=True):
                    await deliver(request, outcome)
        except Exception as fault:  # noqa: BLE001 - the run's to report
            self._stop.request(fault)

    def live(self) -> Live:
        return Live(requests=self._asked)

    def findings(self) -> dict[str, Any]:
        return {"lots": self._lots}

    async def _lot(self, feed: Feed) -> list[RunRequest]:
        lot: list[RunRequest] = []
        while len(lot) < LOT and (request := await feed.next()) is not None:
            lot.append(request)
        self._lots += [len(lot)] if lot else []
        return lot

    async def _ask(self, request: RunRequest) -> Outcome:
        self._asked += 1
        request.journal.left(datetime.now(UTC), monotonic())
        try:
            return Outcome(response=await self._backend.send(request))
        except BackendError as error:
            return Outcome.of_error(error)
