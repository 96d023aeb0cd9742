"""`lm-eval-so view` in a browser: the list, a board, and a run that goes on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from support import browser as chrome
from support.grid import chip_counts, grid
from support.hostile import NAME
from support.report_counts import chips, read_rows
from support.shop import REPEATS
from support.viewer import Run, Viewer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

    from support.browser import Tab
    from support.report_runs import Reported


@pytest.fixture
def served(shop: Reported, tmp_path: Path) -> Iterator[str]:
    """The address of a server over the folder of the sweep."""
    with Viewer(shop.page.parent / "outputs", tmp_path / "cache") as viewer:
        yield f"http://{viewer.address}/"


def is_clean(tab: Tab, address: str) -> bool:
    """Whether nothing went wrong, and nothing but the server was asked."""
    assert tab.faults == []
    assert tab.violations() == []
    assert [one for one in tab.requests if not one.startswith((address, "data:"))] == []
    return True


def test_the_list_names_the_sweep_and_its_runs_and_opens_a_board(
    tab: Tab, shop: Reported, served: str
) -> None:
    page = tab.page
    page.goto(served)
    page.get_by_role("link", name="shop", exact=True).first.wait_for()
    boxes = page.get_by_role("checkbox")
    assert boxes.count() == len(shop.runs)
    for run in shop.runs:
        page.get_by_role("link", name=run.name).or_(page.get_by_text(run.name)).first.wait_for()
    page.get_by_role("link", name="shop", exact=True).first.click()
    grid(page).get_by_role("rowheader").first.wait_for()
    assert chip_counts(page) == chips(read_rows(shop.runs, REPEATS))
    assert is_clean(tab, served)


def test_runs_that_are_picked_are_compared(tab: Tab, served: str) -> None:
    page = tab.page
    page.goto(served)
    for number in (0, 1):
        page.get_by_role("checkbox").nth(number).check()
    page.get_by_role("button", name=re.compile("compare", re.IGNORECASE)).first.click()
    headers = grid(page).get_by_role("columnheader")
    headers.nth(4).wait_for()  # sample, question, expected, and one each
    assert headers.count() == 5
    assert is_clean(tab, served)


def test_a_served_page_opens_samples_and_follows_their_addresses(tab: Tab, served: str) -> None:
    page = tab.page
    page.goto(served)
    page.get_by_role("link", name="shop", exact=True).first.click()
    grid(page).get_by_role("rowheader").first.wait_for()
    page.goto(page.url.partition("#")[0] + "#sample=korean-15")
    page.get_by_role("dialog", name="korean-15").get_by_text("환불은").first.wait_for()
    assert is_clean(tab, served)


@pytest.mark.parametrize("locale", ["en-US", "ko-KR"])
def test_the_list_speaks_the_language_of_the_browser(
    browser: Browser, served: str, locale: str
) -> None:
    with chrome.tab(browser, locale=locale) as tab:
        tab.page.goto(served)
        assert tab.page.locator("html").get_attribute("lang") == locale[:2]
        assert is_clean(tab, served)


def test_hostile_runs_are_listed_and_shown_as_text(
    tab: Tab, hostile: Reported, tmp_path: Path
) -> None:
    with Viewer(hostile.page.parent, tmp_path / "cache") as viewer:
        address = f"http://{viewer.address}/"
        page = tab.page
        page.goto(address)
        page.get_by_text(NAME).or_(page.get_by_text("hostile")).first.wait_for()
        page.get_by_role("link", name=re.compile("img src")).or_(
            page.get_by_role("link", name=re.compile("answers"))
        ).first.click()
        grid(page).get_by_role("rowheader").first.wait_for()
        assert page.evaluate("window.hacked") is None
        assert is_clean(tab, address)


def test_a_run_that_goes_on_shows_new_answers_without_a_reload(tab: Tab, tmp_path: Path) -> None:
    from playwright.sync_api import expect  # noqa: PLC0415 - tests are collected without it, too

    page = tab.page
    with Run(tmp_path, 6) as run, Viewer(tmp_path / "outputs", tmp_path / "cache") as viewer:
        run.allow([0, 1])
        page.goto(f"http://{viewer.address}{viewer.boards()[0]}")
        for number in (0, 1):
            grid(page).get_by_text(f"answer {number}").wait_for()
        page.evaluate("window.here = true")
        run.allow([2, 3])
        for number in (2, 3):
            grid(page).get_by_text(f"answer {number}").wait_for()
        page.keyboard.press("Enter")
        page.get_by_role("dialog").get_by_role("article").first.wait_for()
        run.allow([4, 5])
        run.finish()
        page.get_by_role("dialog").wait_for()  # what a person reads stays open
        page.keyboard.press("Escape")
        expect(grid(page)).to_have_attribute("aria-rowcount", "7")
        grid(page).get_by_text("answer 5").wait_for()
        assert page.evaluate("window.here")
        assert is_clean(tab, f"http://{viewer.address}/")


def test_the_list_shows_a_run_that_begins_and_ends(tab: Tab, tmp_path: Path) -> None:
    from playwright.sync_api import expect  # noqa: PLC0415 - tests are collected without it, too

    (tmp_path / "outputs").mkdir()
    page = tab.page
    with Viewer(tmp_path / "outputs", tmp_path / "cache") as viewer:
        page.goto(f"http://{viewer.address}/")
        with Run(tmp_path, 2) as run:
            row = page.get_by_role("row").filter(has_text="gated")
            expect(row).to_contain_text("running")
            run.allow([0, 1])
            run.finish()
            expect(row).to_contain_text("complete")
        assert is_clean(tab, f"http://{viewer.address}/")
