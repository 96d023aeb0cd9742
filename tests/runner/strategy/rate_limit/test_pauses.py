"""Whom the wait that a server asks for holds back, and for how long at the most."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.runner.errors import (
    BackendError,
    BackendUnusableError,
    InternalServerError,
    RateLimitError,
)
from lm_eval_so.runner.strategy.rate_limit.limiter import RateLimiter
from lm_eval_so.runner.strategy.rate_limit.limits import Limits
from lm_eval_so.runner.strategy.rate_limit.pauses import Pauses
from lm_eval_so.runner.strategy.retry import StoppedError

if TYPE_CHECKING:
    from collections.abc import Callable


class Scene:
    def __init__(self, longest: float = 600) -> None:
        self.given_up: list[BackendUnusableError] = []
        self.limiter = RateLimiter(limits=Limits(lambda: 0.0), sleep=asyncio.sleep)
        self.pauses = Pauses(
            self.limiter,
            longest,
            self.given_up.append,
            now=lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
            clock=lambda: self.at,
        )
        self.at = 0.0

    def fail(self, error: BackendError) -> BackendError:
        self.pauses.failed(self.pauses.sent(), error)
        return error


def busy(wait: float | None) -> InternalServerError:
    return InternalServerError("busy", status_code=503, retry_after=wait)


def too_many(wait: float | None) -> RateLimitError:
    return RateLimitError("too many", status_code=429, retry_after=wait)


@pytest.mark.parametrize(
    ("make", "paused"), [(too_many, 5.0), (busy, 0.0)], ids=["429-everybody", "503-its-own"]
)
def test_a_429_pauses_everybody_and_a_503_its_own_retry(
    make: Callable[[float], BackendError], paused: float
) -> None:
    scene = Scene()
    scene.fail(make(5.0))
    assert scene.limiter.paused_s == paused


def test_a_503_that_most_requests_get_pauses_everybody() -> None:
    scene = Scene()
    for _ in range(20):
        scene.fail(busy(5.0))
    assert scene.limiter.paused_s == 5


def test_a_503_that_one_request_in_ten_gets_pauses_nobody() -> None:
    scene = Scene()
    for number in range(500):
        sent = scene.pauses.sent()
        if number % 10 == 0:
            scene.pauses.failed(sent, busy(5.0))
    assert scene.limiter.paused_s == 0


def test_a_few_503s_of_a_wave_pause_nobody_though_they_come_back_one_after_the_other() -> None:
    scene = Scene()
    numbers = [scene.pauses.sent() for _ in range(256)]
    for number in numbers[::20]:
        scene.pauses.failed(number, busy(5.0))
    assert scene.limiter.paused_s == 0


@pytest.mark.parametrize("wait", [None, 0.0], ids=["none", "zero"])
def test_who_asks_for_no_wait_gets_none(wait: float | None) -> None:
    scene = Scene()
    scene.fail(too_many(wait))
    assert scene.limiter.paused_s == 0


@pytest.mark.parametrize("seconds", [601.0, 86_400.0, 365 * 86_400.0, 1e300], ids=str)
def test_a_wait_beyond_the_longest_pause_ends_the_run_with_a_sentence(seconds: float) -> None:
    scene = Scene()
    with pytest.raises(StoppedError):
        scene.fail(too_many(seconds))
    (error,) = scene.given_up
    assert "runner.longest_pause (600 s)" in str(error)
    assert "too many" in str(error)
    assert scene.limiter.paused_s == 0


def test_a_single_503_with_a_wait_beyond_it_fails_its_own_sample() -> None:
    scene = Scene()
    error = scene.fail(busy(3600))
    assert not error.retryable
    assert not scene.given_up


def test_the_longest_pause_is_the_users() -> None:
    scene = Scene(longest=7200)
    scene.fail(too_many(3600))
    assert scene.limiter.paused_s == 3600


def test_a_pause_that_a_person_would_notice_is_told_at_once_with_the_time_of_day(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scene = Scene()
    for _ in range(20):
        scene.fail(too_many(300))
    (message,) = caplog.messages
    assert "5 min" in message
    until = datetime(2026, 1, 2, 3, 9, 5, tzinfo=UTC).astimezone()
    assert f"{until:%H:%M:%S}" in message


def test_a_short_pause_is_not_worth_a_word(caplog: pytest.LogCaptureFixture) -> None:
    Scene().fail(too_many(2))
    assert not caplog.messages


def test_nothing_but_429s_is_told_once_and_ends_the_run_after_the_longest_pause(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scene = Scene()
    for scene.at in (0, 5, 11, 30, 599):
        scene.fail(too_many(None))
    (message,) = caplog.messages
    assert "nothing but 429 for 11 s: waiting" in message
    assert not scene.given_up
    scene.at = 600
    with pytest.raises(StoppedError):
        scene.fail(too_many(None))
    assert "too many" in str(scene.given_up[0])


def test_an_answer_ends_the_drought() -> None:
    scene = Scene()
    for scene.at in range(0, 2000, 100):
        scene.fail(too_many(None))
        scene.pauses.answered()
    assert not scene.given_up
