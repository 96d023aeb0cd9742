"""Makes the pictures of the report page in docs/images: ``make screenshots``."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

from support.bookshop import BRIEF, LARGE, SMALL, WARM, answer, samples
from support.browser import launch, tab
from support.fake_openai import FakeOpenAI
from support.report_runs import FAILED, carried_out, write_dataset

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SHOTS = {
    "page": "",
    "drawer": "#sample=refund-04",
    "charts": "#view=charts",
    "compare": "#view=compare",
    "provenance": "#view=provenance",
}
SIZES = {1440: 900, 390: 844}
SCHEMES = ("light", "dark")
# The filters stay above what is scrolled.
_TO_ITS_TOP = "main => { main.style.scrollMarginTop = '90px'; main.scrollIntoView() }"
SETTLED_MS = 600  # charts and words that differ are drawn after the table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("docs/images"))
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made, sync_playwright() as playwright:
        page = report(Path(made))
        browser = launch(playwright)
        for width in SIZES:
            for scheme in SCHEMES:
                shoot(browser, page, folder, width, scheme)
        browser.close()


def report(folder: Path) -> Path:
    """The page about two prompts and two models."""
    dataset = write_dataset(folder / "bookshop", samples(), "Bookshop support", id_="bookshop")
    with FakeOpenAI(answer) as server:
        carried_out(
            folder,
            *("-m", "backend=openai", f"model={LARGE},{SMALL}", f"dataset.path={dataset}"),
            f"prompt.system='{BRIEF}','{WARM}'",
            *("sweep_name=prompts", "runner.max_concurrency=8", "runner.max_retries=1"),
            "runner.backoff_initial=0.2",
            env=server.env,
            codes=(0, *FAILED),
        )
    page = folder / "report.html"
    carried_out(folder, "report", "outputs/bookshop/sweeps/prompts", "-o", page)
    return page


def shoot(browser: Browser, page: Path, folder: Path, width: int, scheme: str) -> None:
    size = {"width": width, "height": SIZES[width]}
    for name, hash_ in SHOTS.items():
        with tab(browser, viewport=size, color_scheme=scheme, reduced_motion="reduce") as used:
            used.open(page, hash_)
            if "view=" in hash_:  # what is above it is on the picture of the page
                used.page.get_by_role("main").evaluate(_TO_ITS_TOP)
            used.page.wait_for_timeout(SETTLED_MS)
            used.page.screenshot(path=folder / f"report-{name}-{scheme}-{width}.png")


if __name__ == "__main__":
    main()
