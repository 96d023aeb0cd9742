"""What the page exports opens in a spreadsheet, and holds what is filtered."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING

import pytest

from support.grid import downloaded, menu
from support.report_counts import read_rows, text_of
from support.shop import REPEATS

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from support.browser import Tab
    from support.report_counts import Row
    from support.report_runs import Reported

FIELDS_OF_RESULT = 6


@pytest.fixture(scope="module")
def rows(shop: Reported) -> list[Row]:
    return read_rows(shop.runs, REPEATS)


@pytest.fixture
def page(tab: Tab, shop: Reported) -> Page:
    return tab.open(shop.page)


def read_csv(path: Path) -> list[list[str]]:
    raw = path.read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    text = raw.decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


def answers(row: Row) -> list[str]:
    return [text_of(result) if result else "" for result in row.results.values()]


def test_a_csv_holds_every_answer_and_begins_with_a_bom(
    page: Page, rows: list[Row], tmp_path: Path
) -> None:
    header, *lines = read_csv(downloaded(page, "CSV, all", tmp_path))
    assert [line[0] for line in lines] == [row.id for row in rows]
    assert len(header) == 4 + FIELDS_OF_RESULT * len(rows[0].results)
    plain = [
        (line[4::FIELDS_OF_RESULT], answers(row))
        for line, row in zip(lines, rows, strict=True)
        if not row.id.startswith(("tool", "refused"))  # these have something in place of a text
    ]
    assert [line for line, _ in plain] == [said for _, said in plain]


def test_a_csv_says_what_failed_and_what_is_owed(
    page: Page, rows: list[Row], tmp_path: Path
) -> None:
    _, *lines = read_csv(downloaded(page, "CSV, all", tmp_path))
    for line, row in zip(lines, rows, strict=True):
        states = [result["status"] if result else "owed" for result in row.results.values()]
        assert line[5::FIELDS_OF_RESULT] == states
        for said, result in zip(line[6::FIELDS_OF_RESULT], row.results.values(), strict=True):
            message = ((result or {}).get("error") or {}).get("message", "")
            assert message in said


def test_a_csv_of_what_is_filtered_has_those_samples_in_the_order_of_the_table(
    page: Page, rows: list[Row], tmp_path: Path
) -> None:
    page.get_by_role("button", name=re.compile("^Failed")).click()
    page.get_by_role("combobox", name="Order").select_option("By id")
    _, *lines = read_csv(downloaded(page, "CSV", tmp_path))
    assert [line[0] for line in lines] == sorted(row.id for row in rows if row.has("failed"))


@pytest.mark.filterwarnings("ignore:Workbook contains no default style")
def test_an_xlsx_of_what_is_filtered_opens_in_openpyxl(
    page: Page, rows: list[Row], tmp_path: Path
) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    page.get_by_role("button", name=re.compile("^Different")).click()
    book = openpyxl.load_workbook(downloaded(page, "Excel", tmp_path))
    _, *lines = book.active.iter_rows(values_only=True)
    different = [row for row in rows if row.has("different")]
    assert [line[0] for line in lines] == [row.id for row in different]
    said = [[text or "" for text in line[4::FIELDS_OF_RESULT]] for line in lines]
    assert said == [answers(row) for row in different]
    latencies = [value for line in lines for value in line[7::FIELDS_OF_RESULT] if value]
    assert all(isinstance(value, int | float) for value in latencies)


def test_notes_and_thumbs_outlive_a_reload_and_are_exported_by_request_key(
    tab: Tab, shop: Reported, rows: list[Row], tmp_path: Path
) -> None:
    page = tab.open(shop.page, "#sample=korean-15")
    card = page.get_by_role("dialog").get_by_role("article").first
    card.get_by_role("button", name="Good").click()
    card.get_by_role("textbox", name="Note").fill("친절하다, 'quoted'\nand long")
    page.get_by_role("button", name=re.compile("^Next")).click()
    other = page.get_by_role("dialog", name="markdown-16").get_by_role("article").nth(1)
    other.get_by_role("button", name="Bad").click()
    page.goto(shop.page.as_uri() + "#sample=korean-15")
    page.reload()
    assert card.get_by_role("textbox", name="Note").input_value() == "친절하다, 'quoted'\nand long"
    assert card.get_by_role("button", name="Good").get_attribute("aria-pressed") == "true"
    page.keyboard.press("Escape")
    lines = downloaded(page, "Notes", tmp_path).read_text(encoding="utf-8").splitlines()
    kept = {note["request_key"]: note for note in map(json.loads, lines)}
    by_id = {row.id: row for row in rows}
    first = by_id["korean-15"].results[0, 0]
    second = by_id["markdown-16"].results[0, 1]
    assert first is not None
    assert second is not None
    assert set(kept) == {first["request_key"], second["request_key"]}
    assert kept[first["request_key"]]["note"] == "친절하다, 'quoted'\nand long"
    assert [kept[r["request_key"]]["thumb"] for r in (first, second)] == ["up", "down"]


def test_a_note_that_is_taken_back_is_gone(tab: Tab, shop: Reported) -> None:
    page = tab.open(shop.page, "#sample=korean-15")
    good = page.get_by_role("dialog").get_by_role("button", name="Good").first
    good.click()
    good.click()
    assert good.get_attribute("aria-pressed") == "false"
    page.keyboard.press("Escape")
    entries = menu(page, "Export").get_by_role("button")
    entries.filter(has_text="CSV").first.wait_for()
    assert entries.filter(has_text="Notes").count() == 0
