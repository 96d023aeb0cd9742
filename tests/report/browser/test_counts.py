"""Chips and tags count what the files hold, and show those samples."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from support import browser as chrome
from support.grid import chip_counts, menu, shows
from support.report_counts import chips, longest, read_rows, slowest
from support.shop import REPEATS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from support.report_counts import Row
    from support.report_runs import Reported

KINDS = ("different", "failed", "truncated", "refused", "empty", "owed")


@pytest.fixture
def page(browser: Browser, shop: Reported) -> Iterator[Page]:
    with chrome.tab(browser, viewport=chrome.ALL_ROWS) as opened:
        yield opened.open(shop.page)


@pytest.fixture(scope="module")
def rows(shop: Reported) -> list[Row]:
    return read_rows(shop.runs, REPEATS)


def test_the_runs_have_samples_of_every_kind(rows: list[Row]) -> None:
    counts = chips(rows)
    assert len(counts) == len(KINDS) + 2
    assert all(count < len(rows) for count in counts.values())
    assert {result["status"] for row in rows for result in row.there} == {"ok", "error", "timeout"}


def test_every_chip_counts_what_the_files_hold(page: Page, rows: list[Row]) -> None:
    assert chip_counts(page) == chips(rows)


@pytest.mark.parametrize("kind", KINDS)
def test_a_chip_shows_the_samples_that_it_counts(page: Page, rows: list[Row], kind: str) -> None:
    page.get_by_role("button", name=re.compile(f"^{kind}", re.IGNORECASE)).click()
    shows(page, [row for row in rows if row.has(kind)])


@pytest.mark.parametrize("kind", ["slowest", "longest"])
def test_an_extreme_chip_shows_its_samples_in_falling_order(
    page: Page, rows: list[Row], kind: str
) -> None:
    page.get_by_role("button", name=re.compile(f"^{kind}", re.IGNORECASE)).click()
    shows(page, {"slowest": slowest, "longest": longest}[kind](rows))


def test_two_chips_show_what_both_hold_for(page: Page, rows: list[Row]) -> None:
    for kind in ("Refused", "Empty"):
        page.get_by_role("button", name=re.compile(f"^{kind}")).click()
    shows(page, [row for row in rows if row.has("refused") and row.has("empty")])


def test_chips_count_over_the_cells_that_are_shown(page: Page, rows: list[Row]) -> None:
    cells = menu(page, "Cells").get_by_role("checkbox")
    for cell in (1, 3):
        cells.nth(cell).uncheck()
    assert chip_counts(page) == chips([row.only((0, 2)) for row in rows])


def test_every_tag_counts_its_samples_and_shows_them(page: Page, rows: list[Row]) -> None:
    counts = Counter(tag for row in rows for tag in row.tags)
    tags = menu(page, "Tags")
    for tag, count in counts.items():
        box = tags.get_by_role("checkbox", name=f"{tag} {count}", exact=True)
        box.check()
        shows(page, [row for row in rows if tag in row.tags])
        box.uncheck()
    assert tags.get_by_role("checkbox").count() == len(counts)


def test_a_value_of_metadata_shows_its_samples(page: Page, rows: list[Row]) -> None:
    group = menu(page, "Metadata").get_by_role("group", name="language")
    group.get_by_role("checkbox", name="ko", exact=True).check()
    shows(page, [row for row in rows if row.metadata["language"] == "ko"])
