"""How fast a run is against servers of many kinds, in virtual time, with the default options.

Each is compared with the best fixed number of requests at once, or with what its limit dictates.
Bounds lie some points below what was measured with three seeds.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.runner.errors import (
    APIConnectionError,
    EndpointUnreachableError,
    InternalServerError,
)
from support.simulate import simulate
from support.virtual_time import (
    Batch,
    Flaky,
    Slots,
    TokenBucket,
    constant,
    log_normal,
    now,
    refusal,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.simulate import Server

    Make = Callable[[], Server]

MANY = 10_000  # slots of a server that has no bound


def share_of_fixed(make: Make, samples: int, best: int, **options: float) -> float:
    fixed = simulate(make, samples, max_concurrency=best, **options)
    auto = simulate(make, samples, **options)
    assert auto.ok == samples
    return auto.rate / fixed.rate


def batching(step: float, each: float, steps: Callable[[], float], most: int | None = None) -> Make:
    return lambda: Batch(step, each, steps, most=most)


def bimodal() -> Callable[[], float]:
    chance = random.Random(3)
    return lambda: 6.0 if chance.random() < 0.15 else 0.1


def getting_slower() -> Callable[[], float]:
    number = itertools.count()
    return lambda: 0.1 + 10 * next(number) / 4000


@pytest.mark.parametrize("slots", [4, 32, 200])
@pytest.mark.parametrize("status", [503, 529])
def test_slots_are_found_and_few_requests_are_refused(slots: int, status: int) -> None:
    def make() -> Slots:
        return Slots(slots, log_normal(0.5, 0.3), status=status)

    fixed = simulate(make, 3000, max_concurrency=slots)
    auto = simulate(make, 3000)
    assert auto.ok == 3000
    assert auto.rate / fixed.rate > 0.85
    assert auto.refused_share < 0.05


def test_slots_are_found_where_all_answers_come_in_step() -> None:
    def make() -> Slots:
        return Slots(32, constant(0.1))

    auto = simulate(make, 6000)
    assert auto.ok == 6000
    assert auto.rate > 0.92 * 320
    assert auto.refused_share < 0.06


@pytest.mark.parametrize(("slots", "latency"), [(32, 0.5), (200, 2.0)], ids=str)
def test_slots_that_429s_tell_are_found_by_the_rate_that_they_take(
    slots: int, latency: float
) -> None:
    def make() -> Slots:
        return Slots(slots, log_normal(latency, 0.3), status=429)

    fixed = simulate(make, 6000, max_concurrency=slots)
    auto = simulate(make, 6000)
    assert auto.ok == 6000
    assert auto.rate / fixed.rate > 0.82
    assert auto.refused_share < 0.05


@pytest.mark.parametrize(
    ("slots", "latency", "most_in_flight"),
    [(4, log_normal(0.5, 0.3), 24), (32, log_normal(0.5, 0.3), 96), (32, constant(0.1), 96)],
    ids=["4", "32", "32-in-step"],
)
def test_a_silent_queue_is_not_filled_for_nothing(
    slots: int, latency: Callable[[], float], most_in_flight: float
) -> None:
    auto = simulate(lambda: Slots(slots, latency, queue=True), 6000)
    fixed = simulate(lambda: Slots(slots, latency, queue=True), 6000, max_concurrency=slots)
    assert auto.ok == 6000
    assert auto.rate / fixed.rate > 0.93
    assert auto.in_flight < most_in_flight


@pytest.mark.parametrize(
    ("make", "best"),
    [
        pytest.param(batching(0.01, 0.0001, lambda: 20), 256, id="short-answers"),
        pytest.param(batching(0.01, 0.0001, log_normal(200, 0.6)), 256, id="uneven-answers"),
        pytest.param(batching(0.01, 0.001, lambda: 20), 256, id="steep"),
        pytest.param(batching(0.01, 0.0001, log_normal(200, 0.6), 64), 64, id="memory-for-64"),
    ],
)
def test_latency_that_grows_with_throughput_is_no_overload(make: Make, best: int) -> None:
    assert share_of_fixed(make, 6000, best) > 0.9


def test_a_batching_server_is_still_used_fully_at_the_end_of_a_long_run() -> None:
    auto = simulate(batching(0.01, 0.0001, lambda: 20), 40_000)
    assert auto.in_flight > 200


@pytest.mark.parametrize(("samples", "least"), [(300, 0.75), (3000, 0.9)])
def test_a_server_without_bounds_is_no_slower_than_with_64_at_once(
    samples: int, least: float
) -> None:
    assert share_of_fixed(lambda: Slots(MANY, constant(0.2)), samples, 64) > least


def test_a_hosted_provider_is_begun_with_more_at_once() -> None:
    hosted = simulate(lambda: Slots(MANY, constant(0.2)), 1000, hosted=True)
    own = simulate(lambda: Slots(MANY, constant(0.2)), 1000)
    assert (hosted.history[0].limit, own.history[0].limit) == (32, 8)
    assert hosted.span_s < own.span_s


@pytest.mark.parametrize(
    "latency",
    [
        pytest.param(lambda: log_normal(0.2, 0.6), id="log-normal"),
        pytest.param(bimodal, id="bimodal"),
        pytest.param(getting_slower, id="sorted-by-length"),
        pytest.param(lambda: log_normal(60, 0.3), id="a-minute"),
    ],
)
def test_latency_that_varies_is_no_overload(latency: Callable[[], Callable[[], float]]) -> None:
    assert share_of_fixed(lambda: Slots(MANY, latency()), 4000, 256) > 0.85


@pytest.mark.parametrize("tells_wait", [False, True], ids=["no-hint", "retry-after"])
@pytest.mark.parametrize(
    ("per_s", "latency", "samples", "most"),
    [(50, log_normal(0.2, 0.6), 1000, 0.055), (10, log_normal(5, 0.3), 1000, 0.1)],
    ids=["3000-a-minute", "600-a-minute-of-5-s"],
)
def test_a_limit_that_only_429s_tell_is_kept(
    per_s: float, latency: Callable[[], float], samples: int, most: float, *, tells_wait: bool
) -> None:
    auto = simulate(
        lambda: TokenBucket(Slots(MANY, latency).send, per_s, per_s, tells_wait=tells_wait), samples
    )
    assert auto.ok == samples
    assert auto.span_s < 1.25 * samples / per_s
    assert auto.refused_share < most


@pytest.mark.parametrize("status", [503, 429])
@pytest.mark.parametrize("fixed", [None, 16], ids=["auto", "16-at-once"])
def test_a_limit_before_a_fast_server_that_no_header_tells_is_kept(
    status: int, fixed: int | None
) -> None:
    """As nginx's ``limit_req`` of 20 a second without a burst."""
    options = {} if fixed is None else {"max_concurrency": fixed}
    seen = simulate(
        lambda: TokenBucket(Slots(MANY, constant(0.005)).send, 20, 1, status=status), 200, **options
    )
    assert seen.ok == 200
    assert seen.span_s < 1.3 * 200 / 20


def test_the_rate_that_refusals_teach_is_found_again_when_the_limit_rises() -> None:
    class Rising(TokenBucket):
        async def send(self, request):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            self._rate = 20 if now() < 20 else 100
            return await super().send(request)

    seen = simulate(lambda: Rising(Slots(MANY, log_normal(0.1, 0.3)).send, 20, 5), 6000)
    assert seen.ok == 6000
    assert seen.span_s < 20 + 5600 / 100 * 1.6


def error_503() -> InternalServerError:
    return InternalServerError("by chance", status_code=503)


@pytest.mark.parametrize("share", [0.02, 0.05, 0.1])
@pytest.mark.parametrize("status", [503, 429])
def test_refusals_by_chance_cut_nothing(share: float, status: int) -> None:
    def make() -> Flaky:
        return Flaky(Slots(MANY, log_normal(0.5, 0.3)).send, share, lambda: refusal(status))

    assert share_of_fixed(make, 8000, 64) > 1.5


def test_a_503_with_a_wait_holds_back_its_own_request_alone() -> None:
    def flaky(share: float) -> Make:
        return lambda: Flaky(
            Slots(MANY, constant(0.2)).send, share, lambda: refusal(503, retry_after=1.0)
        )

    with_waits, without = simulate(flaky(0.02), 10_000), simulate(flaky(0), 10_000)
    assert with_waits.ok == 10_000
    assert with_waits.rate / without.rate > 0.8


def test_slots_are_found_among_refusals_by_chance() -> None:
    def make() -> Flaky:
        return Flaky(Slots(32, log_normal(0.5, 0.3)).send, 0.05, error_503)

    assert share_of_fixed(make, 3000, 32) > 0.9


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3])
def test_connections_that_one_dead_replica_refuses_stop_nobody(share: float) -> None:
    def flaky(share: float) -> Make:
        return lambda: Flaky(
            Slots(MANY, constant(0.2)).send, share, lambda: EndpointUnreachableError("refused")
        )

    some, none = simulate(flaky(share), 10_000), simulate(flaky(0), 10_000)
    assert some.ok == 10_000
    assert some.rate / none.rate > 0.8 * (1 - share)


def test_a_server_without_room_for_a_minute_is_not_taken_to_be_away() -> None:
    """Its refusals are back at once, while the answers of those that it took are far away."""
    seen = simulate(lambda: Slots(16, log_normal(60, 0.1)), 300)
    assert not seen.given_up
    assert seen.ok == 300


def test_a_proxy_that_resets_beyond_its_connections_is_found_out() -> None:
    class Proxy(Slots):
        async def send(self, request):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            if self.busy >= 8:
                await asyncio.sleep(0.001)
                raise APIConnectionError("reset")
            return await super().send(request)

    seen = simulate(lambda: Proxy(8, log_normal(0.3, 0.3)), 600)
    assert seen.ok == 600
    assert seen.refused_share < 0.1


@pytest.mark.parametrize("queue", [False, True], ids=["503", "queue"])
def test_capacity_that_halves_and_comes_back_is_followed(*, queue: bool) -> None:
    def capacity(at: float) -> int:
        return 32 if int(at / 40) % 2 else 64

    auto = simulate(lambda: Slots(capacity, log_normal(0.5, 0.3), queue=queue), 8000)
    fixed = simulate(
        lambda: Slots(capacity, log_normal(0.5, 0.3), queue=queue), 8000, max_concurrency=64
    )
    assert auto.ok == 8000
    assert auto.rate / fixed.rate > 0.9


def test_a_stall_is_got_over() -> None:
    def latency() -> float:
        stalled = 20 <= now() < 30
        return 0.5 + (30 - now() if stalled else 0)

    assert share_of_fixed(lambda: Slots(MANY, latency), 20_000, 256) > 0.9


def test_slots_that_autoscale_are_used_as_they_come() -> None:
    def capacity(at: float) -> int:
        return min(256, 16 + int(at))

    seen = simulate(lambda: Slots(capacity, log_normal(0.5, 0.3)), 12_000)
    ideal = simulate(
        lambda: Slots(capacity, log_normal(0.5, 0.3), queue=True), 12_000, max_concurrency=256
    )
    assert seen.ok == 12_000
    assert seen.rate / ideal.rate > 0.85


def test_a_configured_rate_keeps_the_number_in_flight_near_what_it_takes() -> None:
    seen = simulate(lambda: Slots(MANY, log_normal(0.2, 0.3)), 2000, rate_limit=50)
    assert seen.span_s < 1.05 * 2000 / 50
    assert seen.history[-1].limit < 40
    assert seen.refused == 0
