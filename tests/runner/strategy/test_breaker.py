from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.runner.errors import (
    AuthenticationError,
    BackendError,
    BackendUnusableError,
    EndpointUnreachableError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
)
from lm_eval_so.runner.models import ChatResponse, RunConfig, RunRequest, TestSample
from lm_eval_so.runner.strategy.breaker import Breaker
from lm_eval_so.runner.strategy.retry import StoppedError

if TYPE_CHECKING:
    from collections.abc import Callable

AWAY = EndpointUnreachableError("refused")


def request(number: int = 0) -> RunRequest:
    sample = TestSample(id=f"s{number}", messages=[{"role": "user", "content": "q"}])
    return RunRequest(sample, number, RunConfig(backend="b", model="m"), "key", "trace")


class Scene:
    """A breaker on a clock that only sleeping moves."""

    def __init__(self, answer: Callable[[int], BackendError | None], wait: float = 30) -> None:
        self.answer = answer
        self.now = 0.0
        self.sent: list[int] = []
        self.given_up: list[BackendUnusableError] = []
        breaker = Breaker(
            wait,
            give_up=self.given_up.append,
            remedy=self.remedy,
            clock=self.time,
            sleep=self.sleep,
        )
        self.send = breaker.wrap(breaker.gate(self._send))

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)

    async def remedy(self, _: BackendError) -> str:
        return "mend it"

    async def _send(self, asked: RunRequest) -> ChatResponse:
        self.sent.append(asked.index)
        await asyncio.sleep(0)
        error = self.answer(len(self.sent))
        if error is not None:
            raise error
        return ChatResponse(text="fine")

    def run(self, count: int) -> list[str]:
        """What became of ``count`` requests that come together."""

        async def one(number: int) -> str:
            try:
                return (await self.send(request(number))).text
            except (BackendError, StoppedError) as error:
                return type(error).__name__

        async def main() -> list[str]:
            return await asyncio.gather(*(one(number) for number in range(count)))

        return asyncio.run(main())


@pytest.mark.parametrize(
    "error",
    [
        AuthenticationError("no", status_code=401),
        QuotaExceededError("no", status_code=429),
        NotFoundError("no", status_code=404),
        PermissionDeniedError("no", status_code=403),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_wrong_setting_ends_the_run_once_and_every_sample_stays_owed(error: BackendError) -> None:
    scene = Scene(lambda _: error)
    assert scene.run(20) == ["StoppedError"] * 20
    assert [str(fault) for fault in scene.given_up] == ["no: mend it"]
    assert scene.run(5) == ["StoppedError"] * 5
    assert len(scene.sent) == 20, "nothing is sent any more"


def test_what_is_one_samples_fault_is_left_to_it_once_there_was_an_answer() -> None:
    errors = {2: NotFoundError("no", status_code=404), 4: PermissionDeniedError("no")}
    scene = Scene(errors.get)
    found = [scene.run(1)[0] for _ in range(5)]
    assert found == ["fine", "NotFoundError", "fine", "PermissionDeniedError", "fine"]
    assert scene.given_up == []


def test_ten_refusals_in_a_row_are_no_samples_fault() -> None:
    scene = Scene(lambda number: None if number == 1 else NotFoundError("no"))
    found = [scene.run(1)[0] for _ in range(11)]
    assert found == ["fine", *["NotFoundError"] * 9, "StoppedError"]
    assert len(scene.given_up) == 1


def test_a_server_that_comes_back_is_probed_by_one_and_all_are_answered() -> None:
    scene = Scene(lambda number: AWAY if number <= 24 else None)
    assert scene.run(20) == ["fine"] * 20
    assert scene.given_up == []
    first, probes = scene.sent[:20], scene.sent[20:25]
    assert sorted(first) == list(range(20))
    assert len(set(probes)) == 1, "one request probes, and the others wait"
    assert len(scene.sent) == 20 + 5 + 19


def test_a_server_that_stays_away_ends_the_run_after_the_wait() -> None:
    scene = Scene(lambda _: AWAY, wait=10)
    assert scene.run(20) == ["StoppedError"] * 20
    assert [str(fault) for fault in scene.given_up] == ["refused: mend it"]
    assert 10 <= scene.now <= 12
    assert len(scene.sent) < 20 + 15


def test_a_server_that_comes_back_with_an_error_has_come_back() -> None:
    scene = Scene(lambda number: [AWAY, InternalServerError("busy"), None][min(number, 3) - 1])
    assert scene.run(1) == ["InternalServerError"]
    assert scene.run(1) == ["fine"]


def test_the_journal_tells_the_outage() -> None:
    scene = Scene(lambda number: AWAY if number < 4 else None)
    asked = request()
    asyncio.run(scene.send(asked))  # type: ignore[arg-type]
    assert asked.journal.waited_ms["outage"] == pytest.approx(700)
    assert asked.journal.number == 1


def test_a_probe_that_is_cancelled_lets_the_others_go_on() -> None:
    scene = Scene(lambda number: AWAY if number <= 2 else None)

    async def main() -> ChatResponse:
        first = asyncio.ensure_future(scene.send(request(1)))
        second = asyncio.ensure_future(scene.send(request(2)))
        while len(scene.sent) < 2 or not scene.now:
            await asyncio.sleep(0)
        first.cancel()
        return await second

    assert asyncio.run(main()).text == "fine"
