from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len

from lm_eval_so.runner.engine.base import Live
from lm_eval_so.runner.progress.line import status_line
from lm_eval_so.runner.progress.tally import Tally
from support.results import Clock, result

if TYPE_CHECKING:
    from collections.abc import Iterable

TITLE = "데이터 · openai · gpt-4o-mini"


def line(
    width: int,
    *,
    done: int = 1234,
    failed: int = 5,
    total: int = 10_000,
    paused: float = 0,
    tried_again: int = 0,
    ascii_only: bool = False,
) -> str:
    clock = Clock()
    tally = Tally(total, clock=clock)
    for n in range(done):
        clock.now += 0.01
        tally.add(result(fails=n < failed))
    live = Live(
        in_flight=8,
        requests=done + tried_again + 8,
        concurrency=64,
        rate_limit=2.5,
        paused_s=paused,
    )
    return status_line(tally, live, TITLE, width, ascii_only=ascii_only).plain


def in_order(text: str, parts: Iterable[str]) -> bool:
    return re.search(".*".join(re.escape(part) for part in parts), text) is not None


def test_all_is_shown_where_there_is_room() -> None:
    assert line(180, paused=3, tried_again=7) == (
        "━━╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌ 1234/10000 12%  ETA 1:28  paused 3.0 s  5 failed  100/s  "
        f"8 of 64 in flight  7 retried  limit 2.5/s  996 tok/s  {TITLE}"
    )


def test_at_eighty_columns_count_time_to_go_failures_and_rate_are_there() -> None:
    parts = ["━╌╌", "1234/10000 12%", "ETA 1:28", "5 failed", "100/s", "8 of 64 in flight"]
    assert in_order(line(80), parts)


def test_at_forty_columns_count_and_time_to_go_are_there() -> None:
    assert in_order(line(40), ["╌╌╌", "1234/10000 12%", "ETA 1:28"])


@pytest.mark.parametrize("width", [*range(1, 60), 79, 80, 81, 120, 300])
@pytest.mark.parametrize("failed", [0, 1234])
def test_no_line_is_wider_than_the_terminal(width: int, failed: int) -> None:
    assert cell_len(line(width, failed=failed, paused=3600, tried_again=9)) <= width


@pytest.mark.parametrize("width", [40, 80, 160])
def test_a_narrower_line_never_shows_what_a_wider_one_leaves_out(width: int) -> None:
    wider = line(width + 40, tried_again=7)
    for part in line(width, tried_again=7).split("  ")[1:]:
        assert part in wider


@pytest.mark.parametrize(
    ("done", "total", "share"),
    [(0, 50, "0%"), (49, 50, "98%"), (999, 1000, "99%"), (50, 50, "100%"), (0, 0, "100%")],
)
def test_the_percentage_is_never_ahead(done: int, total: int, share: str) -> None:
    assert f"{done}/{total} {share}" in line(80, done=done, total=total, failed=0)


def test_a_terminal_without_the_characters_gets_ascii() -> None:
    assert line(80, ascii_only=True).startswith("#--------- 1234/10000 12%")


def test_before_the_first_result_no_time_is_told() -> None:
    assert "ETA" not in line(160, done=0)
