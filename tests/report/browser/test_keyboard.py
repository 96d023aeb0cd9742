"""Everything on the page can be done with the keyboard alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from support.grid import grid, shows
from support.report_counts import read_rows
from support.shop import REPEATS

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from support.browser import Tab
    from support.report_counts import Row
    from support.report_runs import Reported

# What Tab has to reach: controls that are seen, but for those in menus that are closed.
CONTROLS = """
(scope) => {
  const root = document.querySelector(scope)
  const all = root.querySelectorAll(
    'a[href], button, input, select, textarea, summary, [tabindex]:not([tabindex="-1"])')
  window.wanted = [...all].filter((one) =>
    one.tabIndex >= 0 && !one.disabled && one.checkVisibility({ visibilityProperty: true }) &&
    one.getClientRects().length > 0)
  return window.wanted.length
}
"""
# Notes the focused element; gives its markup if nothing shows that it, or its active part, has it.
VISIT = """
() => {
  const at = document.activeElement
  window.visited ??= new Set()
  if (at === document.body) return null
  window.visited.add(at)
  const style = getComputedStyle(
    document.getElementById(at.getAttribute('aria-activedescendant') ?? '') ?? at)
  const outlined = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0
  return outlined || style.boxShadow !== 'none' ? null : at.outerHTML.slice(0, 120)
}
"""
MISSED = (
    "() => window.wanted.filter(o => !window.visited.has(o)).map(o => o.outerHTML.slice(0, 120))"
)


@pytest.fixture
def page(tab: Tab, shop: Reported) -> Page:
    return tab.open(shop.page)


@pytest.fixture(scope="module")
def rows(shop: Reported) -> list[Row]:
    return read_rows(shop.runs, REPEATS)


def focus_is_on(page: Page, role: str) -> None:
    from playwright.sync_api import expect  # noqa: PLC0415 - tests are collected without it, too

    expect(page.get_by_role(role).and_(page.locator(":focus"))).to_have_count(1)  # type: ignore[arg-type]


def opened(page: Page, name: str) -> None:
    """Waits until the drawer shows this sample."""
    page.get_by_role("dialog").get_by_role("heading", name=name, exact=True).wait_for()


def test_samples_are_opened_walked_through_and_closed(page: Page, rows: list[Row]) -> None:
    page.keyboard.press("j")
    page.keyboard.press("k")
    focus_is_on(page, "grid")
    page.keyboard.press("Enter")
    opened(page, rows[0].id)
    for key, at in (("j", 1), ("j", 2), ("ArrowRight", 3), ("k", 2), ("ArrowLeft", 1)):
        page.keyboard.press(key)
        opened(page, rows[at].id)
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")
    focus_is_on(page, "grid")
    active = grid(page).get_attribute("aria-activedescendant")
    assert page.locator(f"#{active}").inner_text().startswith(rows[1].id)


def test_next_stops_at_the_last_sample_and_previous_at_the_first(
    page: Page, rows: list[Row]
) -> None:
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    opened(page, rows[-1].id)
    page.keyboard.press("j")
    opened(page, rows[-1].id)
    page.keyboard.press("Escape")
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    page.keyboard.press("k")
    opened(page, rows[0].id)


def test_next_walks_through_what_is_filtered(page: Page, rows: list[Row]) -> None:
    page.keyboard.press("f")
    failed = [row for row in rows if row.has("failed")]
    page.keyboard.press("Enter")
    for row in failed:
        opened(page, row.id)
        page.keyboard.press("j")
    opened(page, failed[-1].id)


def test_the_search_is_reached_left_and_cleared(page: Page, rows: list[Row]) -> None:
    page.set_viewport_size({"width": 1440, "height": 4000})
    page.keyboard.press("/")
    focus_is_on(page, "searchbox")
    page.keyboard.type("id:flaky", delay=5)
    shows(page, [row for row in rows if "flaky" in row.id])
    page.keyboard.press("Escape")
    focus_is_on(page, "grid")
    page.keyboard.press("x")
    shows(page, rows)


def test_chips_are_keys(page: Page, rows: list[Row]) -> None:
    page.set_viewport_size({"width": 1440, "height": 4000})
    page.keyboard.press("d")
    shows(page, [row for row in rows if row.has("different")])
    page.keyboard.press("d")
    page.keyboard.press("f")
    shows(page, [row for row in rows if row.has("failed")])


def test_the_help_opens_and_gives_the_focus_back(page: Page) -> None:
    page.keyboard.press("j")
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keys and query language").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")
    focus_is_on(page, "grid")


def test_numbers_change_the_view(page: Page) -> None:
    from playwright.sync_api import expect  # noqa: PLC0415 - tests are collected without it, too

    for key, name in enumerate(("Answers", "Charts", "Provenance", "Compare"), start=1):
        page.keyboard.press(str(key))
        button = page.get_by_role("navigation").get_by_role("button", name=name, exact=True)
        expect(button).to_have_attribute("aria-current", "page")


def test_a_menu_opens_and_closes_by_key(page: Page, rows: list[Row]) -> None:
    page.set_viewport_size({"width": 1440, "height": 4000})
    page.locator("summary", has_text="Tags").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    tags = page.get_by_role("group").filter(has=page.locator("summary", has_text="Tags"))
    first = tags.get_by_role("checkbox").first
    (tag, _) = (first.locator("xpath=..").inner_text()).split()
    shows(page, [row for row in rows if tag in row.tags])
    page.keyboard.press("Escape")
    first.wait_for(state="hidden")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"


@pytest.mark.parametrize("hash_", ["", "#view=charts", "#view=provenance", "#view=compare"])
def test_tab_reaches_every_control_of_a_view_and_shows_where_it_is(
    tab: Tab, shop: Reported, hash_: str
) -> None:
    page = tab.open(shop.page, hash_)
    page.get_by_role("main").wait_for()
    assert tabbed(page, "body") == ([], [])


def test_tab_reaches_every_control_of_the_drawer_and_stays_in_it(tab: Tab, shop: Reported) -> None:
    page = tab.open(shop.page, "#sample=tool-12")
    page.get_by_role("dialog").get_by_role("article").nth(7).wait_for()
    assert tabbed(page, "dialog[open]") == ([], [])
    inside = "[...window.visited].every(one => one.closest('dialog[open]'))"
    assert page.evaluate(inside)


def tabbed(page: Page, scope: str) -> tuple[list[str], list[str]]:
    """Presses Tab once around: controls that it misses, and those that do not show the focus."""
    unseen = []
    for _ in range(page.evaluate(CONTROLS, scope) + 3):
        page.keyboard.press("Tab")
        unseen.append(page.evaluate(VISIT))
    return page.evaluate(MISSED), sorted({one for one in unseen if one})


def test_keys_of_the_page_do_not_act_while_a_person_writes(page: Page) -> None:
    grid(page).press("Enter")
    dialog = page.get_by_role("dialog")
    note = dialog.get_by_role("textbox", name="Note").first
    note.fill("")
    note.press_sequentially("jkx?d1")
    assert note.input_value() == "jkx?d1"
    page.wait_for_url(re.compile("sample="))
