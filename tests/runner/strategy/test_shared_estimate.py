"""The budget and the limit on tokens read one estimate, which each answer teaches once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from lm_eval_so.runner.config.schema import RunnerOptions
from lm_eval_so.runner.errors import BudgetSpentError
from lm_eval_so.runner.models import ChatResponse, RunConfig, RunRequest, TestSample, TokenUsage
from lm_eval_so.runner.strategy.rate_limit.tokens import TokenEstimate
from lm_eval_so.runner.strategy.retry import StoppedError
from lm_eval_so.runner.strategy.stack import Stack
from support import virtual_time
from support.backends import Sends
from support.requests import request_of

if TYPE_CHECKING:
    from collections.abc import Sequence

CONFIG = RunConfig(backend="b", model="m")
USAGES = [
    pytest.param(TokenUsage(input=900, output=100, total=1000), id="long-questions"),
    pytest.param(TokenUsage(input=10, output=990, total=1000), id="long-answers"),
]


def asked(number: int) -> RunRequest:
    sample = TestSample(id=f"s{number}", messages=[{"role": "user", "content": "q" * 100}])
    return request_of(sample, number, CONFIG, "key", "t")


class Scene:
    """A stack in virtual time, against a server that tells the usages one after the other."""

    def __init__(self, usages: Sequence[TokenUsage]) -> None:
        self.usages = usages
        self.starts: list[float] = []
        self.given_up: list[Exception] = []

    async def _send(self, _: RunRequest) -> ChatResponse:
        usage = self.usages[len(self.starts)]
        self.starts.append(virtual_time.now())
        await asyncio.sleep(0.5)
        return ChatResponse(text="", tokens=usage)

    def run(self, **options: Any) -> Stack:  # noqa: ANN401 - those of the runner
        async def main() -> Stack:
            stack = Stack(
                Sends(self._send),
                RunnerOptions.model_validate(options),
                stopping=lambda: bool(self.given_up),
                give_up=self.given_up.append,
                clock=virtual_time.now,
            )
            settled = map(stack.settle, map(asked, range(len(self.usages))))
            for found in await asyncio.gather(*settled, return_exceptions=True):
                assert not isinstance(found, BaseException) or isinstance(found, StoppedError)
            return stack

        return virtual_time.run(main())


@pytest.mark.parametrize("limit", [None, 600_000], ids=["no-limit", "limit-on-tokens"])
def test_each_answer_teaches_the_estimate_once(limit: int | None) -> None:
    usages = [TokenUsage(input=40 + n, output=10 * n, total=40 + 11 * n) for n in range(20)]
    stack = Scene(usages).run(tokens_per_minute=limit, max_concurrency=1)
    by_hand = TokenEstimate({})
    size = TokenEstimate.size(asked(0))
    for usage in usages:
        by_hand.learn(size, usage)
    assert stack.spending.expected(asked(0)).tokens == pytest.approx(by_hand.of(size))


@pytest.mark.parametrize("usage", USAGES)
@pytest.mark.parametrize("budget", [None, 10**9], ids=["no-budget", "budget"])
def test_the_limit_on_tokens_is_kept_and_used(usage: TokenUsage, budget: int | None) -> None:
    scene = Scene([usage] * 300)
    scene.run(tokens_per_minute=60_000, budget={"tokens": budget})
    assert len(scene.starts) == 300
    for at in range(20, 300):
        assert scene.starts[at] - scene.starts[at - 20] > 0.9 * 20, "1000 tokens a second"
    assert scene.starts[-1] < 1.1 * 300


@pytest.mark.parametrize("usage", USAGES)
@pytest.mark.parametrize("limit", [None, 600_000], ids=["no-limit", "limit-on-tokens"])
def test_the_budget_of_tokens_ends_within_one_answer(usage: TokenUsage, limit: int | None) -> None:
    scene = Scene([usage] * 300)
    stack = scene.run(tokens_per_minute=limit, budget={"tokens": 100_000}, max_concurrency=8)
    assert [type(one) for one in scene.given_up] == [BudgetSpentError]
    assert 99_000 <= stack.spending.settled.tokens <= 101_000


@pytest.mark.parametrize(
    "usage",
    [
        pytest.param(TokenUsage(input=-5, output=3, total=-2), id="negative"),
        pytest.param(TokenUsage(input=7, output=5, total=10**400), id="no-number-of-tokens"),
    ],
)
def test_an_impossible_usage_is_ignored_by_the_limit_too(usage: TokenUsage) -> None:
    scene = Scene([usage] * 3)
    stack = scene.run(tokens_per_minute=60_000)
    size = TokenEstimate.size(asked(0))
    assert stack.spending.expected(asked(0)).tokens == TokenEstimate({}).of(size)
    assert len(scene.starts) == 3
