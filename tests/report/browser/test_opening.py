"""The page opens from a file: alone, in the browser's language and colours."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from support.browser import Tab
    from support.report_runs import Reported

    NewTab = Callable[..., AbstractContextManager[Tab]]

VIEWS = {
    "en-US": ("Answers", "Charts", "Provenance", "Compare"),
    "ko-KR": ("답변", "차트", "실행 정보", "비교"),
}
# Where the page has no colour of its own, the browser's is white, or black in the dark.
BRIGHTNESS = """
() => {
  const [r, g, b] = getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g).map(Number)
  return (r + g + b) / 3
}
"""
# What around the view can be scrolled sideways; what is in it may: tables, chips.
WIDER = """
() => {
  const found = []
  for (let one = document.querySelector('main'); one; one = one.parentElement)
    if (one.scrollWidth > innerWidth) found.push(`${one.tagName} ${one.scrollWidth}`)
  return found
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", VIEWS)
def test_it_opens_without_a_request_a_message_or_an_error_in_all_its_views(
    new_tab: NewTab, shop: Reported, locale: str, scheme: str
) -> None:
    with new_tab(locale=locale, color_scheme=scheme) as tab:
        page = tab.open(shop.page)
        for name in VIEWS[locale]:
            page.get_by_role("navigation").get_by_role("button", name=name, exact=True).click()
            page.get_by_role("main").wait_for()
        page.keyboard.press("1")
        page.get_by_role("grid", name=VIEWS[locale][0]).press("Enter")
        page.get_by_role("dialog").get_by_role("article").first.wait_for()
        assert page.locator("html").get_attribute("lang") == locale[:2]
        assert (page.evaluate(BRIGHTNESS) > 128) == (scheme == "light")
        assert tab.is_quiet()


def test_the_dataset_is_the_title_and_each_cell_is_named_by_what_varies(
    tab: Tab, shop: Reported
) -> None:
    page = tab.open(shop.page)
    page.get_by_role("heading", name="Shop").first.wait_for()
    assert page.title() == "Shop"
    headers = page.get_by_role("grid").get_by_role("columnheader").all_inner_texts()
    named = [header for header in headers if "gpt-4o" in header]
    assert len(named) == len(shop.runs)
    assert len(set(named)) == len(named)


def test_a_person_can_change_language_and_colours(tab: Tab, shop: Reported) -> None:
    page = tab.open(shop.page)
    page.get_by_role("button", name="한국어").click()
    page.get_by_role("navigation").get_by_role("button", name="답변").wait_for()
    page.get_by_role("button", name="English").click()
    before = page.evaluate(BRIGHTNESS)
    page.get_by_role("button", name="Auto").click()  # light
    page.get_by_role("button", name="Light").click()
    page.get_by_role("button", name="Dark").wait_for()
    assert page.evaluate(BRIGHTNESS) < before
    page.reload()
    page.get_by_role("button", name="Dark").wait_for()


def test_fifteen_samples_are_on_a_screen(tab: Tab, shop: Reported) -> None:
    page = tab.open(shop.page)
    page.get_by_role("grid").get_by_role("rowheader").nth(14).wait_for()
    page.get_by_role("rowheader").first.scroll_into_view_if_needed()
    tops = [header.bounding_box() for header in page.get_by_role("rowheader").all()[:16]]
    heights = [after["y"] - before["y"] for before, after in pairwise(tops) if before and after]
    assert max(heights) <= 60  # 900 pixels hold 15 of them


ADDRESSES = ["", "#view=charts", "#view=compare", "#view=provenance", "#sample=tool-12"]


@pytest.mark.parametrize("hash_", ADDRESSES)
def test_no_view_is_wider_than_a_phone(new_tab: NewTab, shop: Reported, hash_: str) -> None:
    with new_tab(viewport={"width": 390, "height": 844}) as tab:
        page = tab.open(shop.page, hash_)
        page.get_by_role("main").wait_for()
        page.get_by_role("heading").last.wait_for()
        assert page.evaluate(WIDER) == []


def test_without_scripts_it_says_what_it_needs(new_tab: NewTab, shop: Reported) -> None:
    with new_tab(java_script_enabled=False) as tab:
        tab.page.goto(shop.page.as_uri())
        assert re.search("JavaScript|script", tab.page.locator("body").inner_text())


def test_it_can_be_printed(tab: Tab, shop: Reported) -> None:
    page = tab.open(shop.page)
    page.emulate_media(media="print")
    assert page.pdf().startswith(b"%PDF")
    assert tab.faults == []
