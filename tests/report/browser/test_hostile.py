"""What models and servers said is shown as text: nothing of it runs, nothing loads."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from support import browser as chrome
from support.grid import downloaded, menu, shows
from support.hostile import IDS, LONG, NAME, SHORT
from support.report_counts import read_rows, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Locator

    from support.browser import Tab
    from support.report_counts import Row
    from support.report_runs import Reported

CELLS = 2
UNFOLD = "all => all.forEach(one => { one.open = true })"
ODD_HASHES = (
    "#meta.__proto__=1&meta.constructor=2&tags=__proto__&chip=constructor&cells=0,x&ref=99999",
    "#sort=constructor&view=__proto__&sample=__proto__&nth=1e9&q=meta.constructor%3A1",
    "#q=%E0%A4%A&sample=%&=&&&meta.=%",
    "#q=" + "(" * 5000,
    "#<img src=x onerror=window.hacked=1>",
    "#sample=" + quote("<img src=x onerror=window.hacked=1>"),
)


@pytest.fixture(scope="module")
def opened(browser: Browser, hostile: Reported) -> Iterator[Tab]:
    with chrome.tab(browser) as tab:
        tab.open(hostile.page)
        yield tab


@pytest.fixture(scope="module")
def rows(hostile: Reported) -> dict[str, Row]:
    return {row.id: row for row in read_rows(hostile.runs)}


def sample(tab: Tab, name: str) -> Locator:
    """Opens a sample by its address; gives the drawer, all unfolded."""
    page = tab.page
    page.evaluate("hash => { location.hash = hash }", f"#sample={quote(name, safe='')}")
    drawer = page.get_by_role("dialog")
    drawer.get_by_role("article").nth(CELLS - 1).wait_for()
    assert drawer.get_by_role("heading").first.inner_text().strip() == name.strip()
    drawer.locator("details").evaluate_all(UNFOLD)
    return drawer


def did_nothing(tab: Tab) -> bool:
    assert tab.page.evaluate("[window.hacked, ({}).hacked, document.title.length > 0]") == [
        None,
        None,
        True,
    ]
    return tab.is_quiet()


def shown(text: str) -> str:
    """A text as it comes out of a browser: half a character is none."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@pytest.mark.parametrize("markdown", [False, True], ids=["raw", "markdown"])
@pytest.mark.parametrize("name", SHORT)
def test_a_hostile_text_is_text_wherever_it_stands(
    opened: Tab, rows: dict[str, Row], name: str, *, markdown: bool
) -> None:
    drawer = sample(opened, name)
    toggle = drawer.get_by_role("button", name="Markdown")
    if (toggle.get_attribute("aria-pressed") == "true") != markdown:
        toggle.click()
    drawer.locator("details").evaluate_all(UNFOLD)
    answer = rows[name].results[0, 0]
    assert answer is not None
    if not markdown:
        assert shown(text_of(answer)) in (drawer.text_content() or "")
    assert drawer.locator("a[href], iframe, object, embed, form, script, style").count() == 0
    assert drawer.locator("img:not([src^='data:image/png'])").count() == 0
    assert did_nothing(opened)


@pytest.mark.parametrize("name", LONG)
def test_a_text_of_a_megabyte_is_shown_to_its_end_on_demand(
    opened: Tab, rows: dict[str, Row], name: str
) -> None:
    drawer = sample(opened, name)
    toggle = drawer.get_by_role("button", name="Markdown")
    if toggle.get_attribute("aria-pressed") == "true":
        toggle.click()
    answer = rows[name].results[0, 0]
    assert answer is not None
    card = drawer.get_by_role("article").first
    more = card.get_by_role("button", name="Show all")
    while more.count():
        more.first.click()
    assert len(card.text_content() or "") >= len(text_of(answer))
    toggle.click()
    toggle.click()
    assert did_nothing(opened)


@pytest.mark.parametrize("name", IDS)
def test_a_sample_of_any_id_opens_by_its_address(opened: Tab, name: str) -> None:
    sample(opened, name)
    assert did_nothing(opened)


@pytest.mark.parametrize("hash_", ODD_HASHES)
def test_an_address_that_makes_no_sense_opens_the_page(
    tab: Tab, hostile: Reported, hash_: str
) -> None:
    tab.open(hostile.page, hash_)
    assert tab.page.get_by_role("grid").count() == 1
    assert did_nothing(tab)


def test_every_view_shows_names_as_text(tab: Tab, hostile: Reported) -> None:
    page = tab.open(hostile.page)
    assert page.title() == NAME
    page.get_by_text(NAME).first.wait_for()
    for view in ("Charts", "Provenance", "Compare", "Answers"):
        page.get_by_role("navigation").get_by_role("button", name=view, exact=True).click()
        page.get_by_role("main").wait_for()
        page.locator("details").evaluate_all(UNFOLD)
        assert did_nothing(tab)


@pytest.mark.parametrize("name", ["script", "closed", "csv", "bidi"])
def test_a_tag_of_any_name_filters(
    tab: Tab, hostile: Reported, rows: dict[str, Row], name: str
) -> None:
    page = tab.open(hostile.page)
    tags = menu(page, "Tags").get_by_role("checkbox")
    tags.nth(list(SHORT).index(name)).check()
    shows(page, [rows[name]])
    page.reload()
    shows(page, [rows[name]])
    assert did_nothing(tab)


def test_a_field_of_metadata_called_constructor_filters(
    tab: Tab, hostile: Reported, rows: dict[str, Row]
) -> None:
    page = tab.open(hostile.page)
    page.set_viewport_size(chrome.ALL_ROWS)
    field = menu(page, "Metadata").get_by_role("group", name="constructor")
    field.get_by_role("checkbox", name="1").check()
    shows(page, [rows[name] for name in SHORT])
    page.get_by_role("button", name="Clear filters").click()
    page.get_by_role("searchbox").fill("meta.constructor:1 -meta.toString:1")
    shows(page, [rows[name] for name in SHORT])
    assert did_nothing(tab)


def test_a_csv_of_hostile_answers_has_no_formula(
    tab: Tab, hostile: Reported, rows: dict[str, Row], tmp_path: Path
) -> None:
    tab.open(hostile.page)
    text = downloaded(tab.page, "CSV", tmp_path).read_bytes().decode("utf-8-sig")
    csv.field_size_limit(1 << 24)
    header, *lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert [line[0].lstrip("'") for line in lines] == list(rows)
    cells = [cell for line in (header, *lines) for cell in line if not _is_number(cell)]
    assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))] == []
    assert did_nothing(tab)


def _is_number(text: str) -> bool:
    return text.lstrip("-").replace(".", "").isdecimal()


@pytest.mark.filterwarnings("ignore:Workbook contains no default style")
def test_an_xlsx_of_hostile_answers_opens_and_has_no_formula(
    tab: Tab, hostile: Reported, rows: dict[str, Row], tmp_path: Path
) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    tab.open(hostile.page)
    book = openpyxl.load_workbook(downloaded(tab.page, "Excel", tmp_path))
    cells = [cell for line in book.active.iter_rows() for cell in line]
    assert book.active.max_row == len(rows) + 1
    assert {cell.data_type for cell in cells} <= {"s", "n", "inlineStr"}
    assert did_nothing(tab)
