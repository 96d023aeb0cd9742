from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.runner.errors import AuthenticationError, BackendError
from lm_eval_so.runner.models import ChatResponse, RunConfig, RunRequest, TestSample
from lm_eval_so.runner.strategy.breaker.breaker import Breaker
from lm_eval_so.runner.strategy.retry import StoppedError
from support.requests import request_of

if TYPE_CHECKING:
    from lm_eval_so.runner.errors import BackendUnusableError

SAMPLE = TestSample(id="s", messages=[{"role": "user", "content": "q"}])
REQUEST = request_of(SAMPLE, 0, RunConfig(backend="b", model="m"), "key", "trace")
REFUSED = AuthenticationError("no", status_code=401)


async def answers(_: RunRequest) -> ChatResponse:
    return ChatResponse(text="fine")


def breaker_of(remedy: str, *, slowly: bool = False) -> tuple[Breaker, list[BackendUnusableError]]:
    given_up: list[BackendUnusableError] = []

    async def tell(_: BackendError) -> str:
        if slowly:
            await asyncio.sleep(0)
        return remedy

    return Breaker(give_up=given_up.append, remedy=tell), given_up


@pytest.mark.parametrize(
    ("remedy", "sentence"), [("mend it", "it is so: mend it"), ("", "it is so")]
)
def test_the_sentence_says_what_is_wrong_and_what_to_do(remedy: str, sentence: str) -> None:
    breaker, given_up = breaker_of(remedy)
    asyncio.run(breaker.trip(REFUSED, "it is so."))
    assert [str(fault) for fault in given_up] == [sentence]


def test_the_run_is_ended_once() -> None:
    breaker, given_up = breaker_of("mend it", slowly=True)

    async def main() -> None:
        await asyncio.gather(*(breaker.trip(REFUSED, f"{n}") for n in range(5)))

    asyncio.run(main())
    assert [str(fault) for fault in given_up] == ["0: mend it"]


def test_nothing_is_sent_from_the_moment_on_that_the_run_is_ended() -> None:
    breaker, given_up = breaker_of("mend it", slowly=True)
    send = breaker.gate.wrap(answers)

    async def main() -> None:
        assert (await send(REQUEST)).text == "fine"
        ending = asyncio.ensure_future(breaker.trip(REFUSED, "no"))
        await asyncio.sleep(0)
        assert not given_up, "the remedy is being looked up"
        with pytest.raises(StoppedError):
            await send(REQUEST)
        await ending

    asyncio.run(main())
