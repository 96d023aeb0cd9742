"""The address holds what a person chose: a reload or a colleague finds the same."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from support.grid import menu, shows
from support.report_counts import read_rows
from support.shop import REPEATS

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from playwright.sync_api import Page

    from support import browser as chrome
    from support.report_counts import Row
    from support.report_runs import Reported

    NewTab = Callable[..., AbstractContextManager[chrome.Tab]]


@pytest.fixture(scope="module")
def rows(shop: Reported) -> list[Row]:
    return read_rows(shop.runs, REPEATS)


def choose(page: Page) -> None:
    """Narrows and sorts the table, hides a cell and takes another as reference."""
    page.get_by_role("searchbox").fill("order -status:owed latency<10s")
    menu(page, "Tags").get_by_role("checkbox", name=re.compile("^refund")).check()
    vip = menu(page, "Metadata").get_by_role("group", name="vip")
    vip.get_by_role("checkbox", name="true").check()
    menu(page, "Cells").get_by_role("checkbox").first.uncheck()
    page.keyboard.press("Escape")
    page.get_by_role("combobox", name="Order").select_option("Longest first")
    page.get_by_role("button", name=re.compile("^Compare the other cells")).last.click()


def wanted(rows: list[Row]) -> list[Row]:
    """What is left, the longest answer first."""
    shown = [row.only((1, 2, 3)) for row in rows]
    left = [row for row in shown if "refund" in row.tags and row.metadata["vip"] and row.there]
    return sorted(left, key=_longest, reverse=True)


def _longest(row: Row) -> int:
    return max(
        (len(result["response"]["text"]) for result in row.there if result["response"]), default=-1
    )


def state(page: Page) -> list[object]:
    """What a person sees of his choices."""
    page.get_by_role("rowheader").first.wait_for()
    return [
        page.get_by_role("searchbox").input_value(),
        page.get_by_role("combobox", name="Order").input_value(),
        page.get_by_role("rowheader").all_inner_texts(),
        page.get_by_role("columnheader").all_inner_texts(),
    ]


def test_a_reload_and_another_browser_show_the_same_filters_order_and_cells(
    new_tab: NewTab, shop: Reported, rows: list[Row]
) -> None:
    with new_tab(viewport={"width": 1440, "height": 4000}) as tab:
        page = tab.open(shop.page)
        choose(page)
        shows(page, wanted(rows))
        before, address = state(page), page.url
        page.reload()
        shows(page, wanted(rows))
        assert state(page) == before
    with new_tab(viewport={"width": 1440, "height": 4000}) as other:
        page = other.go(address)
        shows(page, wanted(rows))
        assert state(page) == before


@pytest.mark.parametrize("name", ["korean-15", "image-37"])
def test_an_address_opens_a_sample(tab: chrome.Tab, shop: Reported, name: str) -> None:
    page = tab.open(shop.page, f"#sample={name}")
    page.get_by_role("dialog", name=name).wait_for()
    page.reload()
    page.get_by_role("dialog", name=name).wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")
    page.wait_for_url(lambda url: "sample" not in url)


def test_an_address_opens_a_sample_that_its_filters_leave_out(
    tab: chrome.Tab, shop: Reported
) -> None:
    page = tab.open(shop.page, "#q=id%3Aflaky&sample=korean-15")
    page.get_by_role("dialog", name="korean-15").wait_for()
    page.get_by_text("not among the filtered samples").wait_for()


def test_an_address_opens_a_view(tab: chrome.Tab, shop: Reported) -> None:
    page = tab.open(shop.page, "#view=provenance")
    current = page.get_by_role("navigation").get_by_role("button", name="Provenance")
    assert current.get_attribute("aria-current") == "page"


def test_another_hash_in_the_address_bar_is_followed(
    tab: chrome.Tab, shop: Reported, rows: list[Row]
) -> None:
    page = tab.open(shop.page)
    page.set_viewport_size({"width": 1440, "height": 4000})
    page.evaluate("location.hash = '#chip=failed'")
    shows(page, [row for row in rows if row.has("failed")])
    page.evaluate("location.hash = ''")
    shows(page, rows)
