from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.runner.config.schema import RunnerOptions
from lm_eval_so.runner.errors import (
    APIConnectionError,
    APITimeoutError,
    BackendError,
    BackendUnusableError,
    EndpointUnreachableError,
    InternalServerError,
    InvalidResponseError,
    NotFoundError,
    RateLimitError,
)
from lm_eval_so.runner.models import ChatResponse, Outcome, RunConfig, RunRequest, TestSample
from lm_eval_so.runner.strategy.base import fold
from lm_eval_so.runner.strategy.breaker.breaker import Breaker
from lm_eval_so.runner.strategy.breaker.outage_guard import OutageGuard
from lm_eval_so.runner.strategy.concurrency import Slots
from lm_eval_so.runner.strategy.retry import Retry, Settle, StoppedError, as_outcome
from support.requests import request_of
from support.slots import fixed
from support.virtual_time import run as run_virtually

if TYPE_CHECKING:
    from collections.abc import Callable

    from lm_eval_so.runner.backends.base import Send

    Fault = Callable[[float, RunRequest], BackendError | None]

REFUSED = EndpointUnreachableError("no server takes connections")
GATEWAY = {
    "502": InternalServerError("<html>\n<h1>502 Bad Gateway</h1>", status_code=502),
    "503": InternalServerError("upstream is away", status_code=503),
    "504": InternalServerError("gateway timeout", status_code=504),
    "500": InternalServerError("Connection error.", status_code=500),
    "broken connections": APIConnectionError("reset by peer"),
    "answers that are no completion": InvalidResponseError("a web page", status_code=200),
}
LATENCY = 0.05


def requests(count: int) -> list[RunRequest]:
    config = RunConfig(backend="b", model="m")
    samples = [
        TestSample(id=f"s{n}", messages=[{"role": "user", "content": "q"}]) for n in range(count)
    ]
    return [request_of(sample, n, config, "key", "trace") for n, sample in enumerate(samples)]


class Scene:
    """Workers, retries, the guard and slots in virtual time, against a server with faults."""

    def __init__(
        self,
        fault: Fault,
        *,
        slots: int = 4,
        wait: float = 30,
        retries: int = 2,
        refuses_in: float = 0.002,
        latency: Callable[[], float] = lambda: LATENCY,
    ) -> None:
        self.fault = fault
        self.latency = latency
        self.on_the_wire = 0
        self.refuses_in = refuses_in
        self.sent: list[tuple[float, str]] = []
        self.probing = self.most_probing = 0
        self.failed = 0
        self.stopping = False
        self.given_up: list[BackendUnusableError] = []
        self.slots = Slots(slots)
        self.took = 0.0
        self._wait = wait
        self._options = RunnerOptions(max_retries=retries, backoff_max=0.5)

    async def _send(self, request: RunRequest) -> ChatResponse:
        loop = asyncio.get_running_loop()
        self.sent.append((loop.time(), request.sample_id))
        error = self.fault(loop.time(), request)
        self.on_the_wire += error is None
        await asyncio.sleep(self.latency() if error is None else self.refuses_in)
        self.on_the_wire -= error is None
        if error is None:
            return ChatResponse(text="fine")
        self.failed += 1
        raise error

    def guard(self) -> Send:
        async def remedy(_: BackendError) -> str:
            return "mend it"

        breaker = Breaker(give_up=self.given_up.append, remedy=remedy)
        guard = OutageGuard(
            self._wait,
            breaker=breaker,
            in_flight=lambda: self.slots.taken,
            stopping=lambda: self.stopping,
            clock=asyncio.get_running_loop().time,
        )
        send = fold(self._send, [guard.watch, breaker.gate, guard.gate])
        clock = asyncio.get_running_loop().time
        limited, self.slots = fixed(send, self.slots.limit, clock=clock)
        return guard.wrap(limited)

    def run(self, count: int, *, workers: int | None = None) -> dict[str, str]:
        """What became of each sample."""
        found: dict[str, str] = {}
        todo = iter(requests(count))

        async def work(settle: Settle) -> None:
            for request in todo:
                try:
                    found[request.sample_id] = words_of(await settle(request))
                except StoppedError:
                    found[request.sample_id] = "owed"

        async def main() -> None:
            settle = as_outcome(Retry(self._options).wrap(self.guard()))
            number = workers or max(2 * self.slots.limit, 23)
            await asyncio.gather(*(work(settle) for _ in range(number)))
            self.took = asyncio.get_running_loop().time()

        run_virtually(main())
        assert self.slots.taken == 0
        return found


def words_of(outcome: Outcome) -> str:
    return "fine" if outcome.error is None else outcome.error.error_type


def away(error: BackendError, begins: float, ends: float) -> Fault:
    return lambda now, _: error if begins <= now < ends else None


def poison(*samples: int, error: BackendError = GATEWAY["500"]) -> Fault:
    ids = {f"s{n}" for n in samples}
    return lambda _, request: error if request.sample_id in ids else None


def declared(caplog: pytest.LogCaptureFixture) -> int:
    return sum("trying again for up to" in record.getMessage() for record in caplog.records)


@pytest.fixture(autouse=True)
def _warnings(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="lm_eval_so")


@pytest.mark.parametrize("retries", [0, 2])
@pytest.mark.parametrize("slots", [1, 2, 4, 16, 64])
@pytest.mark.parametrize("error", [REFUSED, *GATEWAY.values()], ids=["refused", *GATEWAY])
@pytest.mark.parametrize("begins", [0, 0.4], ids=["at-the-start", "later"])
def test_an_outage_costs_no_sample_and_few_requests(
    error: BackendError, slots: int, retries: int, begins: float
) -> None:
    scene = Scene(away(error, begins, begins + 15), slots=slots, retries=retries)
    found = scene.run(40 * slots)
    assert set(found.values()) == {"fine"}
    assert scene.given_up == []
    workers = max(23, 2 * slots)
    # Each may have one; a refused connection is tried again until there was no answer for 0.3 s.
    times = 8 if isinstance(error, EndpointUnreachableError) else 1
    assert scene.failed <= times * workers + 12
    assert 15 <= scene.took < 15 + 40 * LATENCY + 3


@pytest.mark.parametrize("seconds", [1, 5, 20], ids=str)
def test_slow_failures_are_an_outage_too(seconds: float) -> None:
    scene = Scene(away(GATEWAY["504"], 0, 25), slots=1, retries=2, refuses_in=seconds, wait=60)
    assert set(scene.run(30).values()) == {"fine"}


@pytest.mark.parametrize("slots", [1, 4, 16, 64])
@pytest.mark.parametrize("slow", [0.2, 3, 10], ids=str)
def test_a_server_that_takes_nothing_new_but_finishes_what_it_has_is_away(
    slots: int, slow: float
) -> None:
    chance = random.Random(slots)
    scene = Scene(
        away(GATEWAY["502"], 2.5 * slow, 2.5 * slow + 15),
        slots=slots,
        retries=0,
        latency=lambda: slow * (0.5 + chance.random()),
    )
    assert set(scene.run(10 * slots).values()) == {"fine"}
    assert scene.failed <= 2 * max(slots, 23) + 12


@pytest.mark.parametrize("slots", [40, 64, 256])
def test_a_server_with_too_much_to_do_is_not_away(
    slots: int, caplog: pytest.LogCaptureFixture
) -> None:
    chance = random.Random(slots)
    scene = Scene(
        lambda *_: GATEWAY["503"] if scene.on_the_wire >= 32 else None,
        slots=slots,
        retries=1000,
        latency=lambda: 0.1 * (0.5 + chance.random()),
    )
    assert set(scene.run(1000).values()) == {"fine"}
    assert declared(caplog) <= 3
    assert scene.took < 1000 / 32 * 0.1 * 1.3 + 1


@pytest.mark.parametrize("slots", [1, 4, 16])
@pytest.mark.parametrize("count", [4, 10, 30])
def test_of_a_few_samples_half_may_fail(slots: int, count: int) -> None:
    scene = Scene(poison(*range(0, count, 2)), slots=slots)
    found = scene.run(count)
    assert Counter(found.values()) == {"fine": count / 2, "InternalServerError": count / 2}
    assert scene.took < 10


@pytest.mark.parametrize("slots", [1, 4, 16])
def test_a_server_that_fails_each_sample_once_is_found_by_one_that_has_failed(slots: int) -> None:
    seen: set[str] = set()

    def once(_: float, request: RunRequest) -> BackendError | None:
        failed = request.sample_id not in seen
        seen.add(request.sample_id)
        return GATEWAY["500"] if failed else None

    scene = Scene(once, slots=slots)
    assert set(scene.run(100).values()) == {"fine"}
    assert scene.took < 100 / slots * LATENCY + 0.2 * 100 / max(slots, 3) + 1


def test_two_outages_one_after_the_other_cost_no_sample() -> None:
    error = GATEWAY["502"]
    scene = Scene(lambda now, _: error if now < 5 or 5.5 <= now < 12 else None, slots=8, retries=0)
    found = scene.run(400)
    assert Counter(found.values())["fine"] >= 400 - 8


@pytest.mark.parametrize("count", [1, 3, 1000])
@pytest.mark.parametrize("slots", [1, 8])
def test_a_dead_server_is_told_within_a_fraction_of_a_second(
    count: int, slots: int, caplog: pytest.LogCaptureFixture
) -> None:
    scene = Scene(lambda *_: REFUSED, slots=slots, wait=0, retries=0)
    found = scene.run(count)
    assert set(found.values()) == {"owed"}
    assert [str(fault) for fault in scene.given_up] == ["no server takes connections: mend it"]
    assert scene.took < 0.5
    assert len(scene.sent) <= max(slots, 3) * 2
    assert declared(caplog) == 0, "nobody waits"


@pytest.mark.parametrize("kind", GATEWAY)
def test_a_server_that_stays_away_ends_the_run_with_its_own_words(kind: str) -> None:
    scene = Scene(lambda *_: GATEWAY[kind], wait=10)
    assert set(scene.run(50).values()) == {"owed"}
    words = " ".join(GATEWAY[kind].message.rstrip(".").split())
    assert [str(fault) for fault in scene.given_up] == [
        f"the server is away, nothing but {kind} for 10 s: {words}: mend it"
    ]
    assert 10 <= scene.took <= 13


def test_all_that_the_server_gave_is_named() -> None:
    scene = Scene(lambda now, _: GATEWAY["502" if now < 3 else "504"], wait=10)
    scene.run(50)
    assert "nothing but 502 and 504 for 10 s: gateway timeout" in str(scene.given_up[0])


def test_without_a_wait_the_run_is_given_up_when_the_outage_is_found_out() -> None:
    scene = Scene(lambda *_: GATEWAY["502"], wait=0)
    assert set(scene.run(50).values()) == {"owed"}
    assert "nothing but 502: " in str(scene.given_up[0])
    assert scene.took < 0.1


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3])
@pytest.mark.parametrize("slots", [4, 16, 64])
def test_refused_connections_among_answers_stop_nobody(
    share: float, slots: int, caplog: pytest.LogCaptureFixture
) -> None:
    chance = random.Random(slots)
    scene = Scene(lambda *_: REFUSED if chance.random() < share else None, slots=slots, retries=30)
    assert set(scene.run(50 * slots).values()) == {"fine"}
    assert declared(caplog) <= (2 if share == 0.3 else 0), "a pause of 0.1 s each"
    assert scene.took <= 50 * LATENCY * 1.3 + 2, "back-off at the end included"


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3])
def test_refused_connections_of_one_at_a_time_cost_little(share: float) -> None:
    chance = random.Random(1)
    scene = Scene(lambda *_: REFUSED if chance.random() < share else None, slots=1, retries=30)
    assert set(scene.run(400).values()) == {"fine"}
    assert scene.took <= 400 * LATENCY * 1.2


@pytest.mark.parametrize("kind", GATEWAY)
@pytest.mark.parametrize("slots", [1, 4, 16])
def test_random_failures_among_answers_stop_nobody(
    kind: str, slots: int, caplog: pytest.LogCaptureFixture
) -> None:
    chance = random.Random(2)
    fault = lambda *_: GATEWAY[kind] if chance.random() < 0.05 else None  # noqa: E731
    scene = Scene(fault, slots=slots, retries=8)
    assert set(scene.run(50 * slots).values()) == {"fine"}
    assert declared(caplog) <= (1 if slots == 1 else 0)


@pytest.mark.parametrize("kind", GATEWAY)
@pytest.mark.parametrize("slots", [1, 4, 16])
@pytest.mark.parametrize(
    "samples",
    [range(5), range(20, 25), range(0, 60, 6), range(57, 60), [59]],
    ids=["first", "in-the-middle", "now-and-then", "last", "the-last"],
)
def test_samples_that_always_fail_are_results_and_decide_about_no_other(
    kind: str, slots: int, samples: list[int]
) -> None:
    scene = Scene(poison(*samples, error=GATEWAY[kind]), slots=slots)
    found = scene.run(60)
    failed = {f"s{n}" for n in samples}
    if slots > 4 or samples != range(57, 60):  # with nothing after them, the server may be away
        assert scene.given_up == []
        assert {name for name, words in found.items() if words != "fine"} == failed
        assert set(found.values()) == {"fine", type(GATEWAY[kind]).__name__}
    assert len(scene.sent) <= 60 + len(failed) * 20


def test_one_probes_at_a_time_and_each_in_turn() -> None:
    scene = Scene(lambda *_: GATEWAY["503"], slots=4, wait=20)
    scene.run(50)
    probes = [sample for _, sample in scene.sent[4:]]
    late = [at for at, _ in scene.sent if at > 0.5]
    assert len(set(probes[:10])) >= 8
    assert all(b - a >= 0.4 for a, b in pairwise(late))


def test_a_probe_comes_no_sooner_than_the_server_asked() -> None:
    error = InternalServerError("later", status_code=503, retry_after=4)
    scene = Scene(away(error, 0, 10))
    assert set(scene.run(8).values()) == {"fine"}
    after = [at for at, _ in scene.sent if at > 0.1]
    assert after[0] >= 4
    assert after[1] - after[0] >= 4


def test_a_wait_of_hours_holds_the_run_no_longer_than_configured() -> None:
    error = InternalServerError("later", status_code=503, retry_after=1e300)
    scene = Scene(lambda *_: error, wait=10)
    scene.run(8)
    assert len(scene.given_up) == 1
    assert scene.took < 11


@pytest.mark.parametrize(
    "word",
    [
        NotFoundError("no", status_code=404),
        RateLimitError("slow", status_code=429),
        BackendError("teapot", status_code=418),
        InternalServerError("no images here", status_code=500, sample_fault=True),
    ],
    ids=["404", "429", "418", "sample-fault"],
)
def test_a_word_from_the_server_is_a_sign_of_life(
    word: BackendError, caplog: pytest.LogCaptureFixture
) -> None:
    errors = [GATEWAY["502"], GATEWAY["502"], word]
    scene = Scene(lambda *_: errors[len(scene.sent) % 3], slots=1, retries=0)
    found = scene.run(30)
    assert "fine" not in found.values()
    assert scene.given_up == []
    assert declared(caplog) == 0


def test_a_timeout_is_no_sign_of_anything(caplog: pytest.LogCaptureFixture) -> None:
    late = APITimeoutError("late")
    scene = Scene(lambda *_: late, slots=8, retries=0)
    assert set(scene.run(20).values()) == {"APITimeoutError"}
    assert declared(caplog) == 0
    errors = [GATEWAY["502"], late]
    scene = Scene(lambda *_: errors[len(scene.sent) % 2], slots=1, wait=5)
    scene.run(20)
    assert len(scene.given_up) == 1
    assert "nothing but 502 for 5 s" in str(scene.given_up[0])


def test_one_or_two_samples_that_fail_are_results() -> None:
    for count in (1, 2):
        scene = Scene(lambda *_: GATEWAY["502"])
        assert set(scene.run(count).values()) == {"InternalServerError"}
        assert len(scene.sent) == 3 * count
        assert scene.took < 3


def test_the_journal_tells_the_outage_and_no_attempt_is_charged() -> None:
    scene = Scene(away(GATEWAY["502"], 0, 5), slots=4)
    asked = requests(8)

    async def main() -> None:
        settle = as_outcome(Retry(RunnerOptions(max_retries=0)).wrap(scene.guard()))
        await asyncio.gather(*map(settle, asked))

    run_virtually(main())
    assert [one.journal.number for one in asked] == [1] * 8
    assert all(4900 <= one.journal.waited_ms["outage"] <= 8000 for one in asked)


def test_a_stop_ends_the_wait_of_what_was_in_flight() -> None:
    scene = Scene(lambda *_: GATEWAY["502"], slots=4)
    scene.stopping = True
    assert set(scene.run(8).values()) == {"InternalServerError"}
    assert scene.given_up == []


def test_a_probe_that_is_cancelled_hands_its_turn_on() -> None:
    scene = Scene(away(GATEWAY["502"], 0, 3), slots=4)

    async def main() -> list[object]:
        send = scene.guard()
        tasks = [asyncio.ensure_future(send(one)) for one in requests(8)]
        for n in range(6):
            await asyncio.sleep(0.3)
            tasks[n].cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    found = run_virtually(main())
    assert [type(one).__name__ for one in found[:6]] == ["CancelledError"] * 6
    assert [type(one).__name__ for one in found[6:]] == ["ChatResponse"] * 2
    assert scene.given_up == []
