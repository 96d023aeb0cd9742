from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.runner import errors
from lm_eval_so.runner.backends.http.status import error_class
from lm_eval_so.runner.config.schema import RunnerOptions
from lm_eval_so.runner.errors import (
    APITimeoutError,
    BackendError,
    BadRequestError,
    EndpointUnreachableError,
    InternalServerError,
    QuotaExceededError,
    RateLimitError,
)
from lm_eval_so.runner.models import ChatResponse, Outcome, RunConfig, RunRequest, TestSample, Wait
from lm_eval_so.runner.run.recorder import Recorder
from lm_eval_so.runner.strategy.retry import Retry, StoppedError, as_outcome
from support.requests import request_of

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIG = RunConfig(backend="b", model="m")
OUTAGE = InternalServerError("down", status_code=500)


def request() -> RunRequest:
    sample = TestSample(id="s", messages=[{"role": "user", "content": "q"}])
    return request_of(sample, 0, CONFIG, "key", "trace")


class Script:
    """Goes through its steps, raising what can be raised; then answers."""

    def __init__(self, *steps: Exception) -> None:
        self.attempts: list[int] = []
        self._steps = iter(steps)

    async def __call__(self, request: RunRequest) -> ChatResponse:
        self.attempts.append(request.attempt)
        step = next(self._steps, None)
        if step is not None:
            raise step
        return ChatResponse(text="fine", status_code=200)


def settle(
    send: Script,
    asked: RunRequest | None = None,
    *,
    stopping: Callable[[], bool] = lambda: False,
    **options: float,
) -> tuple[Outcome, list[float]]:
    """The outcome, and the waits between the attempts."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    retry = Retry(RunnerOptions.model_validate(options), stopping=stopping, sleep=sleep)
    settle = as_outcome(retry.wrap(send))
    return asyncio.run(settle(asked or request())), waits


@pytest.mark.parametrize("retries", [0, 1, 2, 5])
def test_there_is_one_attempt_more_than_retries(retries: int) -> None:
    send = Script(*[OUTAGE] * 10)
    outcome, waits = settle(send, max_retries=retries)
    assert send.attempts == list(range(1, retries + 2))
    assert len(waits) == retries
    assert outcome.response is None
    assert outcome.error is not None
    assert outcome.error.error_type == "InternalServerError"


def test_an_answer_ends_the_attempts() -> None:
    send = Script(OUTAGE)
    outcome, _ = settle(send, max_retries=5)
    assert send.attempts == [1, 2]
    assert outcome.error is None
    assert outcome.response == ChatResponse(text="fine", status_code=200)


@pytest.mark.parametrize(
    ("name", "attempts"),
    [
        ("APIConnectionError", 3),
        ("EndpointUnreachableError", 3),
        ("APITimeoutError", 3),
        ("RequestTimeoutError", 3),
        ("ConflictError", 3),
        ("RateLimitError", 3),
        ("InternalServerError", 3),
        ("InvalidResponseError", 3),
        ("BadRequestError", 1),
        ("AuthenticationError", 1),
        ("PermissionDeniedError", 1),
        ("NotFoundError", 1),
        ("UnprocessableEntityError", 1),
        ("MethodNotAllowedError", 1),
        ("ProxyAuthenticationError", 1),
        ("RedirectError", 1),
        ("AnswerTooLongError", 1),
        ("CommandFailedError", 1),
        ("BackendFaultError", 1),
        ("UnwritableResultError", 1),
        ("TLSError", 1),
        ("ProxyError", 1),
        ("TransientError", 3),
        ("QuotaExceededError", 1),
        ("BackendError", 1),
    ],
)
def test_only_what_may_pass_later_is_tried_again(name: str, attempts: int) -> None:
    send = Script(*[getattr(errors, name)("no") for _ in range(9)])
    outcome, _ = settle(send, max_retries=2)
    assert len(send.attempts) == attempts
    assert outcome.error is not None
    assert (outcome.error.error_type, outcome.error.retryable) == (name, attempts > 1)


def test_the_list_above_names_every_backend_error() -> None:
    mark = next(
        mark
        for mark in test_only_what_may_pass_later_is_tried_again.pytestmark  # type: ignore[attr-defined]
        if mark.name == "parametrize"
    )
    subclasses = {
        kind.__name__
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, BackendError)
    }
    assert {name for name, _ in mark.args[1]} == subclasses


@pytest.mark.parametrize(
    ("status", "attempts"),
    [(s, 3) for s in (408, 409, 424, 425, 429, 498, 499, 500, 502, 503, 504, 529)]
    + [(s, 1) for s in (400, 401, 402, 403, 404, 405, 407, 413, 418, 422)],
)
def test_a_status_code_decides_whether_to_try_again(status: int, attempts: int) -> None:
    send = Script(*[error_class(status)("no", status_code=status) for _ in range(9)])
    outcome, _ = settle(send, max_retries=2)
    assert len(send.attempts) == attempts
    assert outcome.error is not None
    assert outcome.error.status_code == status


def test_a_backend_may_decide_for_itself() -> None:
    assert len(settle(Script(BackendError("x", retryable=True)))[1]) == 1
    assert settle(Script(InternalServerError("x", retryable=False)))[1] == []


@pytest.mark.parametrize("asked", [0.0, 0.4, 7.0, 90.0])
def test_waits_exactly_what_the_provider_asked(asked: float) -> None:
    send = Script(RateLimitError("slow", retry_after=asked), OUTAGE)
    _, waits = settle(send, max_retries=2, backoff_initial=5, backoff_max=30)
    assert waits[0] == asked
    assert 0 <= waits[1] <= 10


def test_a_spent_quota_is_not_waited_for() -> None:
    _, waits = settle(Script(QuotaExceededError("spent", retry_after=1)), max_retries=9)
    assert waits == []


def test_backoff_doubles_with_full_jitter_up_to_its_cap() -> None:
    drawn = [
        settle(Script(*[OUTAGE] * 9), max_retries=5, backoff_initial=0.5, backoff_max=3)[1]
        for _ in range(300)
    ]
    bounds = [0.5, 1, 2, 3, 3]
    for bound, waits in zip(bounds, zip(*drawn, strict=True), strict=True):
        assert 0 <= min(waits) < bound / 10
        assert bound * 0.9 < max(waits) <= bound


@pytest.mark.parametrize("options", [{"backoff_initial": 0}, {"backoff_max": 0}], ids=str)
def test_backoff_can_be_none(options: dict[str, float]) -> None:
    _, waits = settle(Script(*[OUTAGE] * 9), max_retries=3, **options)
    assert waits == [0, 0, 0]


def test_a_result_of_one_attempt_has_no_attempt_log() -> None:
    for send in (Script(), Script(BadRequestError("no"))):
        asked = request()
        outcome, _ = settle(send, asked)
        result = Recorder("d", [CONFIG]).record(asked, outcome)
        assert result.attempts == 1
        assert "attempt_log" not in result.model_dump()


def test_the_attempt_log_tells_of_every_attempt() -> None:
    asked = request()
    send = Script(OUTAGE, RateLimitError("slow", status_code=429, retry_after=2.5))

    async def spend(request: RunRequest) -> ChatResponse:
        request.journal.wait(Wait.SLOT, 0.25)
        request.journal.latency_ms = 10.0 * request.attempt
        return await send(request)

    outcome, waits = settle(spend, asked, max_retries=5)  # type: ignore[arg-type]
    result = Recorder("d", [CONFIG]).record(asked, outcome)
    assert result.attempts == 3
    assert result.latency_ms == 30, "the last attempt alone"
    assert result.attempt_log is not None
    told = [
        (attempt.latency_ms, attempt.status_code, attempt.error_type, attempt.waited_ms)
        for attempt in result.attempt_log
    ]
    assert told == [
        (10, 500, "InternalServerError", {"slot": 250}),
        (20, 429, "RateLimitError", {"slot": 250, "backoff": pytest.approx(waits[0] * 1000, 1e-3)}),
        (30, 200, None, {"slot": 250, "backoff": 2500}),
    ]


@pytest.mark.parametrize(
    ("failures", "status"),
    [
        ([APITimeoutError("t")] * 3, "timeout"),
        ([OUTAGE, OUTAGE, APITimeoutError("t")], "timeout"),
        ([APITimeoutError("t"), APITimeoutError("t"), OUTAGE], "error"),
        ([APITimeoutError("t")], "ok"),
    ],
    ids=["all-timeouts", "last-is-timeout", "last-is-none", "answered-at-last"],
)
def test_the_last_attempt_decides_the_status(failures: list[Exception], status: str) -> None:
    asked = request()
    outcome, _ = settle(Script(*failures), asked, max_retries=2)
    assert Recorder("d", [CONFIG]).record(asked, outcome).status == status


def test_an_error_is_kept_with_all_it_said() -> None:
    said = BadRequestError("too long", status_code=400, details={"code": "context_length"})
    outcome, _ = settle(Script(said))
    assert outcome.error is not None
    assert outcome.error.model_dump() == {
        "error_type": "BadRequestError",
        "message": "too long",
        "status_code": 400,
        "retryable": False,
        "details": {"code": "context_length"},
    }


@pytest.mark.parametrize("fault", [ValueError("bug"), KeyError("x"), RuntimeError()], ids=repr)
def test_what_is_no_backend_error_is_a_bug_and_propagates(fault: Exception) -> None:
    send = Script(fault)
    with pytest.raises(type(fault)) as raised:
        settle(send, max_retries=5)
    assert raised.value is fault
    assert send.attempts == [1]


def test_nothing_is_tried_again_while_the_run_stops() -> None:
    send = Script(OUTAGE)
    with pytest.raises(StoppedError):
        settle(send, stopping=lambda: True)
    assert send.attempts == [1]


def test_an_outcome_that_came_while_the_run_stops_is_kept() -> None:
    for send in (Script(), Script(BadRequestError("no"))):
        outcome, _ = settle(send, stopping=lambda: True)
        assert (outcome.response is None) != (outcome.error is None)


def test_a_failure_without_retries_left_is_an_outcome_even_while_the_run_stops() -> None:
    outcome, _ = settle(Script(OUTAGE), stopping=lambda: True, max_retries=0)
    assert outcome.error is not None


def no_room(kind: type[BackendError] = RateLimitError, **more: float) -> BackendError:
    error = kind("no room", **more)  # type: ignore[arg-type]
    error.for_room = True
    return error


@pytest.mark.parametrize("retries", [1, 2, 5])
def test_refusals_for_want_of_room_use_up_no_attempts(retries: int) -> None:
    send = Script(*[no_room() for _ in range(9)], *[OUTAGE] * retries)
    outcome, _ = settle(send, max_retries=retries)
    assert outcome.response is not None
    assert len(send.attempts) == 9 + retries + 1


@pytest.mark.parametrize("retries", [0, 2])
def test_refusals_for_want_of_room_have_a_bound(retries: int) -> None:
    send = Script(*[no_room() for _ in range(1000)])
    outcome, _ = settle(send, max_retries=retries)
    assert outcome.error is not None
    assert outcome.error.error_type == "RateLimitError"
    assert len(send.attempts) == 11 * retries + 1


def test_what_is_no_refusal_counts_as_before_between_refusals() -> None:
    send = Script(no_room(), OUTAGE, no_room(), OUTAGE, no_room(), OUTAGE, OUTAGE)
    outcome, _ = settle(send, max_retries=2)
    assert outcome.error is not None
    assert outcome.error.error_type == "InternalServerError"
    assert len(send.attempts) == 6


def test_a_connection_that_was_not_made_is_tried_again_soon() -> None:
    send = Script(*[no_room(EndpointUnreachableError) for _ in range(20)])
    outcome, waits = settle(send, backoff_initial=0.5, backoff_max=30)
    assert outcome.response is not None
    assert len(waits) == 20
    assert max(waits) <= 0.5
