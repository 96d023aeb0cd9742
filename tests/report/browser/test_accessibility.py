"""axe-core finds no serious fault in any part of the page, light or dark, wide or narrow."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.grid import menu

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from playwright.sync_api import Page

    from support.browser import Tab
    from support.report_runs import Reported

    NewTab = Callable[..., AbstractContextManager[Tab]]

PARTS = {
    "page": "",
    "filtered": "#q=receipt&chip=different&tags=refund",
    "unreadable query": "#q=latency%3Esoon",
    "nothing found": "#q=nothing-has-this",
    "drawer": "#sample=tool-12",
    "drawer of an error": "#sample=wrong-04",
    "drawer with images": "#sample=image-17",
    "charts": "#view=charts",
    "compare": "#view=compare",
    "provenance": "#view=provenance",
}
SIZES = {"wide": {"width": 1440, "height": 900}, "narrow": {"width": 390, "height": 844}}
GRAVE = ("serious", "critical")


@pytest.fixture(scope="module")
def axe() -> str:
    """The script of axe-core."""
    found = find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        pytest.skip("axe-playwright-python, which has axe-core, is not installed")
    return (Path(found.origin).parent / "axe.min.js").read_text(encoding="utf-8")


def faults(page: Page, axe: str) -> list[str]:
    """What axe-core calls serious or critical, with where it is."""
    page.evaluate(axe)  # by the debugger, which no policy of the page stops
    found: dict[str, Any] = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{fault['id']}: {node['target']} {node['failureSummary']}"
        for fault in found["violations"]
        if fault["impact"] in GRAVE
        for node in fault["nodes"]
    ]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_any_part(
    new_tab: NewTab, shop: Reported, axe: str, scheme: str, size: str
) -> None:
    found: dict[str, list[str]] = {}
    with new_tab(color_scheme=scheme, viewport=SIZES[size], reduced_motion="reduce") as tab:
        page = tab.open(shop.page)
        for part, hash_ in PARTS.items():
            page.evaluate("hash => { location.hash = hash }", hash_)
            if "sample" in hash_:
                page.get_by_role("dialog").get_by_role("article").first.wait_for()
            else:
                page.get_by_role("dialog").wait_for(state="detached")
                page.get_by_role("main").wait_for()
            found[part] = faults(page, axe)
    assert {part: told for part, told in found.items() if told} == {}


def test_axe_finds_nothing_serious_in_help_and_menus(
    new_tab: NewTab, shop: Reported, axe: str
) -> None:
    with new_tab(reduced_motion="reduce") as tab:  # what fades in has no contrast yet
        page = tab.open(shop.page)
        for name in ("Tags", "Metadata", "Cells", "Export"):
            menu(page, name)
            assert faults(page, axe) == []
            page.keyboard.press("Escape")
        page.keyboard.press("?")
        page.get_by_role("dialog").wait_for()
        assert faults(page, axe) == []


def test_axe_would_find_a_fault(tab: Tab, tmp_path: Path, axe: str) -> None:
    (tmp_path / "page.html").write_text("<title>x</title><img src=x><button></button>")
    tab.page.goto((tmp_path / "page.html").as_uri())
    assert faults(tab.page, axe)
