"""What tests of the page in a real browser need; without one they are skipped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support import browser as chrome
from support.report_runs import hostile_runs, shop_sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from playwright.sync_api import Browser

    from support.report_runs import Reported

# Assertions wait this long for the page to come to what is claimed, in milliseconds.
_PATIENCE = 30_000


# Of a module, since Playwright keeps an event loop running in the thread: asyncio.run of other
# tests would not find it free.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if chrome.chromium() is None:
        pytest.skip("there is no chromium on the PATH")
    playwright.expect.set_options(timeout=_PATIENCE)
    with playwright.sync_playwright() as started:
        launched = chrome.launch(started)
        yield launched
        launched.close()


@pytest.fixture
def new_tab(browser: Browser) -> Callable[..., AbstractContextManager[chrome.Tab]]:
    """Opens tabs with options of their own."""

    def new(**options: Any) -> AbstractContextManager[chrome.Tab]:  # noqa: ANN401 - Playwright's
        return chrome.tab(browser, **options)

    return new


@pytest.fixture
def tab(browser: Browser) -> Iterator[chrome.Tab]:
    with chrome.tab(browser) as opened:
        yield opened


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Reported:
    """A sweep of two prompts and two models, with all that can happen to a sample."""
    return shop_sweep(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Reported:
    """Two runs in which every text attacks the page that shows it."""
    return hostile_runs(tmp_path_factory.mktemp("hostile"))
