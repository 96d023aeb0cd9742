"""Chromium, driven by Playwright: tabs that note whatever a page should not do."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Page, Playwright, Route

_NAMES = ("chromium", "chromium-browser", "google-chrome")
ALL_ROWS = {"width": 1440, "height": 4000}
"""A window that holds some 70 rows of the table."""

_FLAGS = (
    *("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
_VIOLATIONS = """
window.violations = []
document.addEventListener('securitypolicyviolation', (event) => {
  window.violations.push(`${event.violatedDirective} ${event.blockedURI}`)
})
"""


def chromium() -> str | None:
    """Where Chromium is; None if there is none."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


def launch(playwright: Playwright) -> Browser:
    """A new browser; Playwright gives it an empty profile of its own."""
    return playwright.chromium.launch(executable_path=chromium(), args=list(_FLAGS))


@dataclass
class Tab:
    """A page, and what it did that a person would not see.

    Attributes:
        page: Of Playwright.
        requests: Addresses that it asked for, its own included. Only those of the machine itself
            (``file:``, ``data:``, ``blob:``, 127.0.0.1) are answered.
        faults: Messages of the console, errors of scripts, crashes.
    """

    page: Page
    requests: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def open(self, file: Path, hash_: str = "") -> Page:
        """Opens a file, and waits until the table is there."""
        return self.go(file.resolve().as_uri() + hash_)

    def go(self, address: str) -> Page:
        """Opens an address, and waits until the table is there."""
        self.page.goto(address)
        self.page.get_by_role("navigation").first.wait_for()
        # Preact listens to keys after the next frame.
        self.page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
        return self.page

    def violations(self) -> list[str]:
        """What the Content-Security-Policy has blocked since the page was opened."""
        found: list[str] = self.page.evaluate("window.violations")
        return found

    def is_quiet(self) -> bool:
        """Whether it asked for nothing but itself, and nothing went wrong; fails with what did."""
        assert self.faults == []
        assert self.violations() == []
        assert {address.partition("#")[0] for address in self.requests} == {
            self.page.url.partition("#")[0]
        }
        return True

    def _answer(self, route: Route) -> None:
        address = route.request.url
        self.requests.append(address)
        if address.startswith(("file:", "data:", "blob:", "http://127.0.0.1:")):
            route.continue_()
        else:
            route.abort()

    def _listen(self, context: BrowserContext) -> None:
        context.route("**", self._answer)
        context.on("console", lambda said: self.faults.append(f"{said.type}: {said.text}"))
        context.on("weberror", lambda error: self.faults.append(str(error.error)))
        context.on("page", lambda page: page is self.page or self.faults.append("a new window"))
        self.page.on("crash", lambda: self.faults.append("crashed"))
        self.page.on("dialog", self._dismiss)

    def _dismiss(self, dialog: Any) -> None:  # noqa: ANN401 - of Playwright
        self.faults.append(f"{dialog.type}: {dialog.message}")
        dialog.dismiss()


@contextmanager
def tab(browser: Browser, **options: Any) -> Iterator[Tab]:  # noqa: ANN401 - of Playwright
    """A tab with a profile of its own; options are those of ``Browser.new_context``."""
    settings = {"viewport": {"width": 1440, "height": 900}, "locale": "en-US", **options}
    context = browser.new_context(**settings)
    context.set_default_timeout(30_000)  # of a machine that others use
    context.add_init_script(_VIOLATIONS)
    opened = Tab(context.new_page())
    opened._listen(context)
    try:
        yield opened
    finally:
        context.close()
