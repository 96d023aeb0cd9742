from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from lm_eval_so.runner.config.schema import RunnerOptions
from lm_eval_so.runner.errors import (
    APIConnectionError,
    APITimeoutError,
    BackendError,
    BadRequestError,
    EndpointUnreachableError,
    InternalServerError,
    InvalidResponseError,
    RateLimitError,
    StoreError,
)
from lm_eval_so.runner.models import ChatResponse, RunConfig, RunRequest, TestSample, TokenUsage
from lm_eval_so.runner.store.spent import SpentFile
from lm_eval_so.runner.strategy.price import Price
from lm_eval_so.runner.strategy.rate_limit.tokens import TokenEstimate
from lm_eval_so.runner.strategy.spending import Spending
from lm_eval_so.runner.strategy.stack import Stack
from lm_eval_so.runner.summary.amount import Amount
from support.backends import Sends
from support.requests import request_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    Send = Callable[[RunRequest], Awaitable[ChatResponse]]

FULL = Path("/dev/full")
PRICE = Price.fixed(1, 2)  # US dollars per million tokens
USAGE = TokenUsage(input=70, output=30, total=100)
ANSWERED = Amount(1, 100, (70 * 1 + 30 * 2) / 1e6)


def requests(number: int = 1) -> list[RunRequest]:
    config = RunConfig(backend="b", model="m")
    samples = [
        TestSample(id=f"s{n}", messages=[{"role": "user", "content": "q"}]) for n in range(number)
    ]
    return [request_of(sample, n, config, "key", "t") for n, sample in enumerate(samples)]


def spending_of(
    keep: Callable[[Amount], None] = lambda _: None, price: Price | None = PRICE
) -> Spending:
    return Spending(price, TokenEstimate({"max_tokens": 5}), keep, keep)


def answers(usage: TokenUsage | None) -> Send:
    async def send(_: RunRequest) -> ChatResponse:
        return ChatResponse(text="fine", tokens=usage)

    return send


def fails(error: BaseException) -> Send:
    async def send(_: RunRequest) -> ChatResponse:
        raise error

    return send


def settled(spending: Spending, send: Send) -> Amount:
    """What one attempt counts."""

    async def attempt() -> None:
        await asyncio.gather(spending.wrap(send)(*requests()), return_exceptions=True)

    asyncio.run(attempt())
    return spending.settled


def test_an_answer_counts_what_the_server_counted() -> None:
    assert settled(spending_of(), answers(USAGE)) == pytest.approx(ANSWERED)


@pytest.mark.parametrize(
    "usage",
    [
        pytest.param(None, id="none"),
        pytest.param(TokenUsage(), id="empty"),
        pytest.param(TokenUsage(input=-5, output=3, total=-2), id="negative"),
        pytest.param(TokenUsage(input=7, output=10**400, total=None), id="no-number-of-tokens"),
    ],
)
def test_an_answer_whose_tokens_are_not_told_counts_by_estimate(usage: TokenUsage | None) -> None:
    spending = spending_of()
    (request,) = requests()
    expected = spending.expected(request)
    assert settled(spending, answers(usage)) == expected
    assert spending.expected(request) == expected, "and nothing is learned from it"


@pytest.mark.parametrize("price", [PRICE, None], ids=["price-list", "no-price"])
def test_what_the_server_says_it_bills_counts_before_the_price_list(price: Price | None) -> None:
    async def send(_: RunRequest) -> ChatResponse:
        return ChatResponse(text="fine", tokens=USAGE, cost_usd=0.25)

    assert settled(spending_of(price=price), send) == Amount(requests=1, tokens=100, usd=0.25)


def test_a_bill_without_tokens_leaves_the_tokens_to_the_estimate() -> None:
    async def send(_: RunRequest) -> ChatResponse:
        return ChatResponse(text="fine", cost_usd=0.0)

    spending = spending_of()
    (request,) = requests()
    tokens = spending.expected(request).tokens
    assert settled(spending, send) == Amount(requests=1, tokens=tokens, usd=0.0)


def test_a_server_that_counts_nothing_is_believed() -> None:
    nothing = TokenUsage(input=0, output=0, total=0)
    assert settled(spending_of(), answers(nothing)) == Amount(requests=1)


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(RateLimitError("slow", status_code=429), id="429"),
        pytest.param(InternalServerError("down", status_code=503), id="503"),
        pytest.param(BadRequestError("what", status_code=400), id="400"),
        pytest.param(BackendError("teapot", status_code=418), id="418"),
    ],
)
def test_a_refusal_counts_one_request_and_no_tokens(error: BackendError) -> None:
    assert settled(spending_of(), fails(error)) == Amount(requests=1)


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(APIConnectionError("reset"), id="reset"),
        pytest.param(APITimeoutError("no answer"), id="timeout"),
        pytest.param(InvalidResponseError("no JSON", status_code=200), id="200-that-is-garbage"),
        pytest.param(InvalidResponseError("no JSON"), id="garbage"),
        pytest.param(asyncio.CancelledError(), id="given-up"),
        pytest.param(ZeroDivisionError(), id="a-bug-in-the-backend"),
    ],
)
def test_what_broke_off_counts_by_estimate(error: BaseException) -> None:
    spending = spending_of()
    expected = spending.expected(*requests())
    assert expected.requests == 1
    assert expected.tokens > 5
    assert expected.usd > 0
    assert settled(spending, fails(error)) == expected


def test_a_refused_connection_counts_nothing() -> None:
    kept: list[Amount] = []
    spending = spending_of(kept.append)
    assert settled(spending, fails(EndpointUnreachableError("nobody"))) == Amount()
    assert kept[-1] == pytest.approx(Amount())


def test_what_is_kept_is_never_behind_what_left_and_ahead_by_what_is_in_flight_alone() -> None:
    """A kill at any moment, since the checks stand at every change of either."""
    chance = random.Random(1)
    kept: list[Amount] = []
    left = answered = in_flight = 0

    async def send(request: RunRequest) -> ChatResponse:
        nonlocal left, answered, in_flight
        left += 1
        in_flight += 1
        check()
        for _ in range(chance.randrange(6)):
            await asyncio.sleep(0)
        in_flight -= 1
        match request.index % 4:
            case 0:
                left -= 1
                raise EndpointUnreachableError("nobody")
            case 1:
                raise RateLimitError("slow", status_code=429)
            case 2:
                raise APIConnectionError("reset")
        answered += 1
        return ChatResponse(text="fine", tokens=USAGE)

    def check() -> None:
        assert left <= kept[-1].requests <= left + in_flight
        assert kept[-1].tokens >= answered * 100

    async def go() -> None:
        counted = spending.wrap(send)
        await asyncio.gather(*map(counted, requests(400)), return_exceptions=True)

    spending = spending_of(kept.append)
    asyncio.run(go())
    assert (left, answered) == (300, 100)
    assert kept[-1] == pytest.approx(spending.settled)
    assert spending.settled.requests == 300


def test_nothing_is_sent_that_cannot_be_kept() -> None:
    sent: list[RunRequest] = []

    def keep(_: Amount) -> None:
        raise StoreError("disk full")

    async def send(request: RunRequest) -> ChatResponse:
        sent.append(request)
        return ChatResponse(text="")

    spending = spending_of(keep)
    with pytest.raises(StoreError, match="disk full"):
        asyncio.run(run(spending.wrap(send)(*requests())))
    assert sent == []
    assert spending.settled == Amount()


def test_a_disk_that_fills_up_meanwhile_costs_no_answer(tmp_path: Path) -> None:
    if not FULL.exists():
        pytest.skip("this system has no /dev/full")
    path = tmp_path / "spent.json"
    file = SpentFile(path)
    spending = Spending(PRICE, TokenEstimate({}), file.write, file.write_soon)

    async def fills_up(_: RunRequest) -> ChatResponse:
        file.close()
        path.unlink()
        path.symlink_to(FULL)
        return ChatResponse(text="fine", tokens=USAGE)

    assert asyncio.run(run(spending.wrap(fills_up)(*requests()))).text == "fine"
    file.flush()
    with pytest.raises(StoreError):
        asyncio.run(run(spending.wrap(answers(USAGE))(*requests())))


async def run(call: Awaitable[ChatResponse]) -> ChatResponse:
    return await call


def test_what_earlier_commands_took_counts_too() -> None:
    spending = spending_of()
    spending.begin(Amount(10, 1000, 0.5))
    assert settled(spending, answers(USAGE)) == pytest.approx(Amount(10, 1000, 0.5).plus(ANSWERED))


def test_tokens_without_a_price_are_priced_once_there_is_one() -> None:
    unpriced = settled(spending_of(price=None), answers(USAGE))
    assert unpriced == pytest.approx(Amount(1, 100, 0.0, 70, 30))
    later = spending_of()
    later.begin(unpriced)
    assert later.settled == pytest.approx(ANSWERED)


def test_dollars_are_kept_while_the_price_is_not_known() -> None:
    spending = spending_of(price=None)
    spending.begin(ANSWERED)
    assert settled(spending, answers(USAGE)) == pytest.approx(
        ANSWERED.plus(Amount(1, 100, 0, 70, 30))
    )


def line(attempts: object, response: object) -> bytes:
    return orjson.dumps({"attempts": attempts, "response": response})


def test_result_lines_tell_attempts_and_the_tokens_of_answers() -> None:
    usage = USAGE.model_dump()
    spending = spending_of()
    spending.begin_from_lines(
        [line(1, {"tokens": usage}), line(3, None), line(1, {"tokens": None}), line(2, {})]
    )
    assert spending.settled == pytest.approx(ANSWERED._replace(requests=7))


def test_damaged_lines_count_nothing() -> None:
    spending = spending_of()
    negative = {"input": -7, "output": -3, "total": -10}
    damaged: list[Any] = [
        b"",
        b"half",
        b"[]",
        b"{}",
        line(None, None),
        line("x", None),
        line(-5, {"tokens": negative}),
        line(1, [1]),
        line(1, {"tokens": [1]}),
        line(1, {"tokens": {"input": "many"}}),
    ]
    spending.begin_from_lines(damaged)
    assert spending.settled == Amount()


def test_who_waits_for_its_start_has_not_left(tmp_path: Path) -> None:
    kept: list[Amount] = []
    left = asyncio.Event()

    async def send(_: RunRequest) -> ChatResponse:
        left.set()
        await asyncio.sleep(0)
        return ChatResponse(text="", tokens=USAGE)

    class Kept(SpentFile):
        def write(self, total: Amount) -> None:
            kept.append(total)

        write_soon = write

    file = Kept(tmp_path / "spent.json")

    async def go() -> None:
        options = {"max_concurrency": 8, "rate_limit": 0.001, "budget": {"requests": 100}}
        stack = Stack(
            Sends(send),
            RunnerOptions.model_validate(options),
            stopping=lambda: False,
            give_up=lambda _: None,
            spent=file,
        )
        calls: list[Coroutine[Any, Any, Any]] = [stack.settle(one) for one in requests(8)]
        tasks = [asyncio.ensure_future(call) for call in calls]
        await left.wait()
        await tasks[0]
        for task in tasks[1:]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(go())
    assert [total.requests for total in kept] == [1, 1]
    assert kept[-1].tokens == 100
