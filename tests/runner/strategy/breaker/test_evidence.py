from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_eval_so.runner.config.schema import RunnerOptions
from lm_eval_so.runner.engine.base import EngineSetup, Stop
from lm_eval_so.runner.engine.sync import SyncEngine
from lm_eval_so.runner.errors import (
    APITimeoutError,
    AuthenticationError,
    BackendError,
    BackendUnusableError,
    BadRequestError,
    EndpointUnreachableError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    ProxyError,
    QuotaExceededError,
    RateLimitError,
    TLSError,
    UnprocessableEntityError,
)
from lm_eval_so.runner.models import (
    ChatResponse,
    Outcome,
    RunConfig,
    RunRequest,
    RunResult,
    TestSample,
)
from lm_eval_so.runner.run.recorder import Recorder
from lm_eval_so.runner.strategy.breaker.alike import ENOUGH, MOST_HELD
from lm_eval_so.runner.strategy.stack import Stack
from support.backends import Sends
from support.requests import FeedOf, request_of
from support.virtual_time import run as run_virtually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    Words = Callable[[int], BackendError | None]

CONFIG = RunConfig(backend="b", model="m")
OF_THE_SETTING = {
    "401": AuthenticationError("wrong key", status_code=401),
    "402": QuotaExceededError("no balance", status_code=402),
    "404": NotFoundError("no such model", status_code=404),
    "405": BackendError("method not allowed", status_code=405),
    "407": BackendError("proxy wants a password", status_code=407),
    "501": InternalServerError("not implemented", status_code=501, retryable=False),
    "proxy": ProxyError("the proxy opens no way"),
    "tls": TLSError("the certificate has expired"),
    "429-quota": QuotaExceededError("quota is spent", status_code=429),
}
OF_ANYBODY = {
    "400": BadRequestError("Model Not Exist", status_code=400),
    "403": PermissionDeniedError("flagged", status_code=403),
    "413": BackendError("too large", status_code=413),
    "422": UnprocessableEntityError("extra input", status_code=422),
}
KINDS = OF_THE_SETTING | OF_ANYBODY
OWN = BadRequestError("context length exceeded", status_code=400, sample_fault=True)


class Scene:
    """A whole engine in virtual time, against a server that says ``words`` of each sample."""

    def __init__(
        self,
        words: Words,
        *,
        slots: int = 8,
        workers: int | None = None,
        latency: float = 0.1,
        repeats: int = 1,
        answered_before: bool = False,
    ) -> None:
        self.words = words
        self.latency = latency
        self.repeats = repeats
        self.answered_before = answered_before
        self.workers = workers or max(2 * slots, 23)
        self.options = RunnerOptions(
            max_concurrency=slots, max_retries=1, backoff_initial=0.1, timeout=5
        )
        self.sent = 0
        self.lines: list[RunResult] = []
        self.recorder = Recorder("d", [CONFIG] * repeats)

    async def _send(self, request: RunRequest) -> ChatResponse:
        self.sent += 1
        await asyncio.sleep(self.latency)
        error = self.words(int(request.sample_id[1:]))
        if error is not None:
            raise error
        return ChatResponse(text="fine")

    def items(self, count: int) -> Iterator[RunRequest]:
        for number in range(count):
            sample = TestSample(id=f"s{number}", messages=[{"role": "user", "content": "q"}])
            for repeat in range(self.repeats):
                index = number * self.repeats + repeat
                yield request_of(sample, index, CONFIG, "key", "trace", repeat)

    async def _deliver(self, request: RunRequest, outcome: Outcome) -> None:
        self.lines.append(self.recorder.record(request, outcome))

    async def go(self, count: int, meanwhile: Callable[[], Awaitable[None]] | None = None) -> None:
        self.stop = Stop()
        setup = EngineSetup(
            backend=Sends(self._send),
            options=self.options.model_copy(update={"drain_timeout": 3}),
            stop=self.stop,
            answered_before=lambda: self.answered_before,
        )
        stack = Stack(
            setup.backend,
            self.options,
            stopping=lambda: bool(self.stop),
            give_up=self.stop.request,
            clock=asyncio.get_running_loop().time,
        )
        engine = SyncEngine(setup, workers=self.workers, stack=stack)
        before = asyncio.all_tasks()

        async def running() -> None:
            async with engine:
                await engine.run(FeedOf(self.items(count), self.stop), self._deliver)

        await asyncio.gather(running(), *([meanwhile()] if meanwhile else []))
        assert asyncio.all_tasks() <= {*before, asyncio.current_task()}, "nothing is left running"

    def run(self, count: int) -> Counter[str]:
        """Lines by error type; ``ok`` of answers, ``owed`` of what has no line."""
        run_virtually(self.go(count))
        found = Counter(line.error.error_type if line.error else "ok" for line in self.lines)
        lines = {(line.sample_id, line.repeat) for line in self.lines}
        assert len(lines) == len(self.lines), "a line for each at the most"
        owed = count * self.repeats - len(lines)
        return found + Counter(owed=owed)

    @property
    def sentence(self) -> str:
        assert isinstance(self.stop.reason, BackendUnusableError)
        return str(self.stop.reason)


def table(kinds: dict[str, BackendError]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("error", kinds.values(), ids=kinds)


@table(KINDS)
@pytest.mark.parametrize("slots", [1, 2, 8, 32])
def test_first_and_all_refused_ends_the_run_with_everything_owed(
    error: BackendError, slots: int
) -> None:
    scene = Scene(lambda _: error, slots=slots)
    assert scene.run(10_000) == {"owed": 10_000}
    assert scene.sentence == error.message
    assert ENOUGH <= scene.sent <= max(ENOUGH, 2 * slots)
    assert scene.sent <= 64


@table(KINDS)
@pytest.mark.parametrize("slots", [1, 8])
def test_later_it_is_data(error: BackendError, slots: int) -> None:
    scene = Scene(lambda n: None if n == 0 else error, slots=slots)
    assert scene.run(100) == {"ok": 1, error.error_type: 99}
    assert not scene.stop


@table(KINDS)
@pytest.mark.parametrize("slots", [1, 8, 64])
@pytest.mark.parametrize("first", [1, ENOUGH - 1], ids=str)
def test_the_first_refused_and_then_an_answer_is_data(
    error: BackendError, slots: int, first: int
) -> None:
    scene = Scene(lambda n: error if n < first else None, slots=slots)
    assert scene.run(100) == {"ok": 100 - first, error.error_type: first}
    assert not scene.stop


@table(KINDS)
@pytest.mark.parametrize("share", [2, 3, 9], ids=str)
def test_mixed_with_answers_it_is_data(error: BackendError, share: int) -> None:
    scene = Scene(lambda n: None if n % share == 0 else error)
    found = scene.run(90)
    assert found == {"ok": 90 // share, error.error_type: 90 - 90 // share}
    assert not scene.stop


@table(KINDS)
@pytest.mark.parametrize("count", [1, 2, 3, 5, 9])
@pytest.mark.parametrize("slots", [1, 8])
def test_of_few_samples_what_no_sample_can_cause_ends_the_run_and_three_alike_do(
    error: BackendError, count: int, slots: int
) -> None:
    scene = Scene(lambda _: error, slots=slots)
    if error in OF_THE_SETTING.values() or count >= 3:
        assert scene.run(count) == {"owed": count}
        assert scene.sentence == error.message
    else:
        assert scene.run(count) == {error.error_type: count}
        assert not scene.stop


@table(OF_ANYBODY)
@pytest.mark.parametrize("count", [1, 30, 300])
def test_answers_of_earlier_commands_make_it_data_what_a_sample_can_cause(
    error: BackendError, count: int
) -> None:
    scene = Scene(lambda _: error, answered_before=True)
    assert scene.run(count) == {error.error_type: count}
    assert not scene.stop


@table(OF_THE_SETTING)
@pytest.mark.parametrize("count", [1, 300])
def test_answers_of_earlier_commands_say_nothing_of_the_key_of_today(
    error: BackendError, count: int
) -> None:
    scene = Scene(lambda _: error, answered_before=True)
    assert scene.run(count) == {"owed": count}


def test_a_samples_own_fault_is_data_at_once_and_no_evidence() -> None:
    scene = Scene(lambda _: OWN)
    assert scene.run(100) == {"BadRequestError": 100}
    assert not scene.stop


def test_a_samples_own_fault_does_not_speak_for_the_setting() -> None:
    scene = Scene(lambda n: OWN if n < 20 else KINDS["400"])
    assert scene.run(1000) == {"BadRequestError": 20, "owed": 980}
    assert {line.error.message for line in scene.lines if line.error} == {OWN.message}


def test_a_few_that_are_not_alike_do_not_hide_a_wrong_setting() -> None:
    scene = Scene(lambda n: KINDS["400"] if n in {1, 4, 7} else KINDS["401"], slots=1)
    assert scene.run(1000) == {"owed": 1000}
    assert scene.sentence == KINDS["401"].message
    assert scene.sent == ENOUGH + 3


def test_many_that_are_not_alike_are_data() -> None:
    words = [chr(ord("a") + n) * 5 for n in range(25)]
    scene = Scene(lambda n: BadRequestError(words[n % 25], status_code=400))
    assert scene.run(300) == {"BadRequestError": 300}
    assert not scene.stop


def test_few_that_are_not_alike_are_data() -> None:
    scene = Scene(lambda n: KINDS["400"] if n else KINDS["403"])
    assert scene.run(6) == {"BadRequestError": 5, "PermissionDeniedError": 1}
    assert not scene.stop


def test_one_sample_asked_many_times_is_one_sample() -> None:
    scene = Scene(lambda _: KINDS["403"], repeats=100)
    assert scene.run(1) == {"PermissionDeniedError": 100}
    scene = Scene(lambda _: KINDS["401"], repeats=100)
    assert scene.run(1) == {"owed": 100}


def test_who_backs_off_is_under_way() -> None:
    failures = iter([InternalServerError("busy", status_code=500), None])
    scene = Scene(lambda n: next(failures) if n == 0 else KINDS["401"])
    assert scene.run(3) == {"ok": 1, "AuthenticationError": 2}
    assert not scene.stop


def test_samples_that_failed_otherwise_are_no_answers() -> None:
    late = APITimeoutError("late")
    scene = Scene(lambda n: late if n < 4 else KINDS["404"])
    assert scene.run(9) == {"APITimeoutError": 4, "owed": 5}
    assert scene.sentence == KINDS["404"].message


def test_the_first_answer_lets_those_go_that_were_held_back() -> None:
    gate = asyncio.Event()
    scene = Scene(lambda n: KINDS["403"] if n < 5 else None)
    held: list[int] = []

    async def meanwhile() -> None:
        await asyncio.sleep(0.19)
        held.append(len(scene.lines))
        await asyncio.sleep(0.1)
        held.append(len(scene.lines))
        gate.set()

    scene.latency = 0.1
    run_virtually(scene.go(5 + 8, meanwhile))
    assert held[0] == 8, "five that were refused and three that were answered with them"
    assert len(scene.lines) == 13


def test_a_stop_ends_the_holding_and_what_is_held_stays_owed() -> None:
    slow = asyncio.Event()

    def words(n: int) -> BackendError | None:
        return KINDS["403"] if n < 4 else RateLimitError("wait", status_code=429, retry_after=300)

    scene = Scene(words)

    async def meanwhile() -> None:
        await asyncio.sleep(1)
        scene.stop.request(KeyboardInterrupt())
        slow.set()

    run_virtually(scene.go(6, meanwhile))
    assert scene.lines == []
    assert isinstance(scene.stop.reason, KeyboardInterrupt)


def test_what_is_refused_after_a_stop_is_not_waited_for() -> None:
    scene = Scene(lambda _: KINDS["403"], latency=1)

    async def meanwhile() -> None:
        await asyncio.sleep(0.5)
        scene.stop.request(KeyboardInterrupt())

    async def timed() -> float:
        await scene.go(100, meanwhile)
        return asyncio.get_running_loop().time()

    assert run_virtually(timed()) < 1.5, "the drain ends with the last answer"
    assert scene.lines == []


@pytest.mark.parametrize("workers", [1, 2, 4, 9])
@table(KINDS)
def test_fewer_workers_than_evidence_needs_are_no_dead_lock(
    error: BackendError, workers: int
) -> None:
    scene = Scene(lambda _: error, workers=workers, slots=workers)
    found = scene.run(50)
    assert found in ({"owed": 50}, {error.error_type: 50})


OUTCOMES: list[BackendError | None] = [
    None,
    *KINDS.values(),
    OWN,
    BadRequestError("other words", status_code=400),
    InternalServerError("down", status_code=500),
    APITimeoutError("late"),
    EndpointUnreachableError("refused"),
    RateLimitError("slow", status_code=429),
]


@settings(max_examples=300, deadline=None)
@given(
    outcomes=st.lists(st.sampled_from(OUTCOMES), min_size=1, max_size=30),
    slots=st.integers(1, 4),
    workers=st.integers(1, 30),
    repeats=st.integers(1, 2),
    answered_before=st.booleans(),
    stops_after=st.none() | st.floats(0, 2),
)
def test_it_always_ends_and_each_sample_has_one_line_or_is_owed(
    outcomes: list[BackendError | None],
    slots: int,
    workers: int,
    repeats: int,
    answered_before: bool,  # noqa: FBT001 - hypothesis names them
    stops_after: float | None,
) -> None:
    scene = Scene(
        outcomes.__getitem__,
        slots=slots,
        workers=workers,
        repeats=repeats,
        answered_before=answered_before,
    )

    async def meanwhile() -> None:
        if stops_after is not None:
            await asyncio.sleep(stops_after)
            scene.stop.request(KeyboardInterrupt())

    run_virtually(asyncio.wait_for(scene.go(len(outcomes), meanwhile), 10_000))
    count = len(outcomes) * repeats
    lines = [(line.sample_id, line.repeat) for line in scene.lines]
    assert len(lines) == len(set(lines))
    assert len(lines) == count or scene.stop
    for line in scene.lines:
        expected = outcomes[int(line.sample_id[1:])]
        assert (line.error and line.error.error_type) == (expected and expected.error_type)


def test_what_is_decided_stays_decided_until_all_that_were_held_have_gone() -> None:
    scene = Scene(lambda n: KINDS["401"] if n in {0, 3} else None, slots=3, workers=3)
    assert scene.run(4) == {"AuthenticationError": 2, "ok": 2}
    assert not scene.stop


def test_what_is_held_is_bounded() -> None:
    assert MOST_HELD < 23
