"""The table of the page, found by its roles."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from playwright.sync_api import Locator, Page

    from support.report_counts import Row


def grid(page: Page) -> Locator:
    return page.get_by_role("grid", name="Answers")


def shows(page: Page, rows: Sequence[Row]) -> None:
    """Waits until the table shows exactly these rows; the window has to hold all of them."""
    from playwright.sync_api import expect  # noqa: PLC0415 - tests are collected without it, too

    expect(grid(page)).to_have_attribute("aria-rowcount", str(len(rows) + 1))
    starts = [re.compile(rf"^{re.escape(row.id)}") for row in rows]
    expect(grid(page).get_by_role("rowheader")).to_have_text(starts)


def chip_counts(page: Page) -> dict[str, int]:
    """The chips that are there, and their numbers."""
    buttons = page.get_by_role("group", name="Kinds of samples").get_by_role("button")
    named = (text.split() for text in buttons.all_inner_texts())
    return {name: int(count) for name, count in named}


def downloaded(page: Page, kind: str, folder: Path) -> Path:
    """What the export menu writes; ``kind`` begins the name of its entry."""
    entries = menu(page, "Export")
    with page.expect_download() as waited:
        entries.get_by_role("button", name=re.compile(f"^{kind}")).first.click()
    path = folder / waited.value.suggested_filename
    waited.value.save_as(path)
    return path


def menu(page: Page, name: str) -> Locator:
    """Opens a menu above the table."""
    page.locator("summary", has_text=name).click()
    return page.get_by_role("group").filter(has=page.locator("summary", has_text=name))
