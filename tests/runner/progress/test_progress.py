from __future__ import annotations

import asyncio
import io
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from lm_eval_so.runner.engine.base import Live
from lm_eval_so.runner.progress.bar import BarProgress
from lm_eval_so.runner.progress.log_lines import LogProgress
from lm_eval_so.runner.progress.tally import Tally
from lm_eval_so.runner.progress.units import duration, milliseconds, number
from lm_eval_so.runner.run.observer import Started
from support.results import Clock, result

if TYPE_CHECKING:
    from lm_eval_so.runner.models import RunResult


def tallied(seconds: float, every: float, total: int = 1000) -> tuple[Tally, Clock]:
    """A tally after so many seconds with a result every so often."""
    clock = Clock()
    tally = Tally(total, clock=clock)
    for _ in range(round(seconds / every)):
        clock.now += every
        tally.add(result())
    return tally, clock


@pytest.mark.parametrize(("seconds", "every"), [(10, 0.5), (10, 2), (100, 0.25), (100, 5)], ids=str)
def test_rates_are_those_of_a_steady_run(seconds: float, every: float) -> None:
    tally, _ = tallied(seconds, every)
    results, tokens = tally.rates()
    assert results == pytest.approx(1 / every, rel=0.1)
    assert tokens == pytest.approx(10 / every, rel=0.1)


def test_a_rate_forgets_what_was_long_ago() -> None:
    tally, clock = tallied(100, 0.1, total=2000)
    for _ in range(60):
        clock.now += 1
        tally.add(result())
    assert tally.rates()[0] == pytest.approx(1, rel=0.1)


def test_a_rate_falls_while_nothing_comes() -> None:
    tally, clock = tallied(10, 0.1)
    before = tally.rates()[0]
    clock.now += 90
    assert tally.rates()[0] == pytest.approx(before / 10, rel=0.15)


def test_the_time_to_go_follows_from_the_rate() -> None:
    tally, _ = tallied(20, 0.5, total=140)
    assert tally.remaining() == pytest.approx(50, rel=0.1)


def test_before_the_first_result_there_is_no_telling() -> None:
    tally = Tally(10, clock=Clock())
    assert tally.rates() == (0, 0)
    assert tally.remaining() is None


def test_kept_samples_are_done_but_no_speed() -> None:
    clock = Clock()
    tally = Tally(100, clock=clock)
    for _ in range(90):
        tally.keep()
    assert (tally.done, tally.kept) == (90, 90)
    assert tally.remaining() is None
    clock.now += 2
    tally.add(result())
    assert tally.rates()[0] == pytest.approx(0.5)
    assert tally.remaining() == pytest.approx(18)


def test_failures_and_answers_without_usage_are_counted() -> None:
    clock = Clock()
    tally = Tally(3, clock=clock)
    clock.now += 1
    for one in (result(fails=True), result(tokens=None), result(tokens=5)):
        tally.add(one)
    assert (tally.done, tally.failed) == (3, 1)
    assert tally.rates() == (3, 5)
    assert tally.remaining() == 0


def live(paused: float = 0) -> Live:
    return Live(in_flight=4, requests=9, concurrency=8, rate_limit=None, paused_s=paused)


STARTED = Started(title="d · b · m", total=50, whole=50, directory=Path("run"))


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def followed(
    results: list[RunResult], *, lines: bool = True, every: float = 1, paused: float = 0
) -> None:
    """A run whose results come so many seconds apart."""
    clock = Clock()
    progress = LogProgress(lines=lines, clock=clock)

    async def main() -> None:
        progress.started(STARTED, lambda: live(paused))
        for one in results:
            clock.now += every
            await progress.result(one)
        progress.ended()

    asyncio.run(main())


@pytest.fixture(autouse=True)
def _info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="lm_eval_so")


def test_a_line_comes_every_ten_seconds(caplog: pytest.LogCaptureFixture) -> None:
    followed([result() for _ in range(25)])
    assert logged(caplog) == [
        "d · b · m: 50 samples",
        "10/50 done, 0 failed, 4 in flight, 1.0 results/s, 10 tokens/s, ETA 40 s",
        "20/50 done, 0 failed, 4 in flight, 1.0 results/s, 10 tokens/s, ETA 30 s",
    ]


def test_a_pause_is_told(caplog: pytest.LogCaptureFixture) -> None:
    followed([result() for _ in range(10)], paused=75)
    assert logged(caplog)[-1].endswith("ETA 40 s, paused for 1:15")


def test_without_lines_only_the_start_and_failures_are_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    followed([result(), result(fails=True), *[result()] * 30], lines=False)
    assert len(logged(caplog)) == 2


def test_the_first_ten_failures_are_shown_in_full(caplog: pytest.LogCaptureFixture) -> None:
    followed([result(f"s{n}", fails=True) for n in range(30)], lines=False)
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == [
        *[f"sample 's{n}' failed after 3 attempts: InternalServerError: down" for n in range(10)],
        "further failures are counted but not shown; the results file has them all",
    ]


def test_a_line_comes_also_while_nothing_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    clock, slept = Clock(), list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.now += seconds
        if len(slept) > 3:
            await asyncio.Event().wait()
        await asyncio.sleep(0)

    async def main() -> None:
        progress = LogProgress(lines=True, clock=clock, sleep=sleep)
        progress.started(STARTED, live)
        while len(slept) <= 3:
            await asyncio.sleep(0)
        progress.ended()

    asyncio.run(main())
    assert len(logged(caplog)) == 1 + 3
    assert logged(caplog)[-1].startswith("0/50 done, 0 failed, 4 in flight")


def test_requests_that_are_tried_again_are_told(caplog: pytest.LogCaptureFixture) -> None:
    followed([result()] * 4, every=3)
    assert logged(caplog)[-1].endswith(", 1 retried")


def test_nine_failures_need_no_word_about_further_ones(caplog: pytest.LogCaptureFixture) -> None:
    followed([result(f"s{n}", fails=True) for n in range(9)], lines=False)
    assert len(logged(caplog)) == 10


def test_kept_samples_are_counted_and_told_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    progress = LogProgress(lines=True, clock=clock)

    async def main() -> None:
        progress.started(STARTED, live)
        for _ in range(50):
            clock.now += 0.3
            await progress.answered_before(result)
        progress.ended()

    asyncio.run(main())
    assert logged(caplog)[1].startswith("34/50 done, 0 failed")
    assert logged(caplog)[-1] == "50 samples were already answered"


def test_a_bar_shows_what_is_done_failed_and_in_flight() -> None:
    screen = io.StringIO()
    bar = BarProgress(Console(file=screen, force_terminal=True, width=160, color_system=None))

    async def main() -> None:
        bar.started(
            STARTED,
            lambda: Live(in_flight=4, requests=9, concurrency=8, rate_limit=2.5, paused_s=3),
        )
        await bar.result(result())
        await bar.result(result(fails=True))
        await bar.answered_before(result)
        await asyncio.sleep(0)
        bar.ended()

    asyncio.run(main())
    for words in (
        "d · b · m",
        "3/50",
        "1 failed",
        "4 of 8 in flight",
        "limit 2.5/s",
        "paused 3.0 s",
    ):
        assert words in screen.getvalue()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "-"), (0, "0.0 s"), (8.24, "8.2 s"), (59.4, "59 s"), (59.6, "1:00"), (187, "3:07"),
     (3599.7, "1:00:00"), (3765, "1:02:45"), (400_000, "111:06:40")],
)  # fmt: skip
def test_a_duration_is_written_as_a_person_reads_it(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (milliseconds(87.4), "87 ms"),
        (milliseconds(1240), "1.24 s"),
        (number(0.42), "0.4"),
        (number(12.3), "12"),
        (number(3400.2), "3,400"),
    ],
    ids=["ms", "s", "small", "tens", "thousands"],
)
def test_numbers_are_written_as_a_person_reads_them(words: str, expected: str) -> None:
    assert words == expected
