"""Queries, typed into the box, show what Python finds in the files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from support import browser as chrome
from support.grid import shows
from support.report_counts import error, finish, read_rows, single, text_of, tokens
from support.shop import REPEATS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page

    from support.report_counts import Row
    from support.report_runs import Reported

QUERIES: dict[str, Callable[[Row], object]] = {
    # fields of a row
    "id:flaky": lambda row: "flaky" in row.id,
    "id:FLAKY-06": lambda row: row.id == "flaky-06",
    "id=flaky": lambda _: False,
    "id=flaky-06": lambda row: row.id == "flaky-06",
    "tag:refund": lambda row: "refund" in row.tags,
    "tag:REFUND": lambda row: "refund" in row.tags,
    "tag:ref": lambda _: False,
    "-tag:refund": lambda row: "refund" not in row.tags,
    "tag:refund tag:eu": lambda row: {"refund", "eu"} <= set(row.tags),
    "tag:account OR tag:shipping": lambda row: {"account", "shipping"} & set(row.tags),
    "meta.language:ko": lambda row: row.metadata["language"] == "ko",
    "meta.level>2": lambda row: row.metadata["level"] > 2,
    "meta.level<=1": lambda row: row.metadata["level"] <= 1,
    "meta.level=2": lambda row: row.metadata["level"] == 2,
    "meta.vip:true": lambda row: row.metadata["vip"],
    "-meta.vip:true": lambda row: not row.metadata["vip"],
    'meta.note:"note 7"': lambda row: row.metadata["note"] == "note 7",
    "meta.lists:1": lambda row: 1 in row.metadata["lists"],
    "meta.missing:1": lambda _: False,
    "expected:within": lambda row: "within" in row.expected.lower(),
    'expected:"days\\":12"': lambda row: 'days":12' in row.expected,
    "receipt": lambda row: "receipt" in row.text,
    "RECEIPT": lambda row: "receipt" in row.text,
    "text:receipt": lambda row: "receipt" in row.text,
    '"order 12"': lambda row: "order 12" in row.text,
    "order 12": lambda row: "order" in row.text and "12" in row.text,
    "-receipt": lambda row: "receipt" not in row.text,
    '-"order 1"': lambda row: "order 1" not in row.text,
    "환불은": lambda row: "환불은" in row.text,
    '"tag:refund"': lambda row: "tag:refund" in row.text,
    "receipt OR 환불은": lambda row: "receipt" in row.text or "환불은" in row.text,
    **{
        f"{sign}is:{kind}": lambda row, kind=kind, sign=sign: row.has(kind) != bool(sign)  # type: ignore[misc]
        for kind in ("different", "failed", "truncated", "refused", "empty", "owed")
        for sign in ("", "-")
    },
    # fields of a result
    "status:error": lambda row: row.any(lambda result: result["status"] == "error"),
    "status:Timeout": lambda row: row.any(lambda result: result["status"] == "timeout"),
    "status:owed": lambda row: row.has("owed"),
    "error:badrequesterror": lambda row: row.any(lambda r: error(r) == "BadRequestError"),
    "error:bad": lambda _: False,
    "finish:length": lambda row: row.any(lambda r: finish(r) == "length"),
    "latency>30ms": lambda row: row.any(lambda r: r["latency_ms"] > 30),
    "latency<=0.02s": lambda row: row.any(lambda r: r["latency_ms"] <= 20),
    "latency>1s": lambda row: row.any(lambda r: r["latency_ms"] > 1000),
    "first<1h": lambda _: False,
    "input>=7": lambda row: row.any(lambda r: tokens(r, "input") >= 7),
    "output=3": lambda row: row.any(lambda r: tokens(r, "output") == 3),
    "cost>0.00004": lambda row: row.any(lambda r: single(r.get("cost_usd") or 0) > single(0.00004)),
    "length>1k": lambda row: row.any(lambda r: len(text_of(r)) > 1000),
    "length:29": lambda row: row.any(lambda r: len(text_of(r)) == 29),
    "attempts>=2": lambda row: row.any(lambda r: r["attempts"] >= 2),
    "cell:mini attempts=2": lambda row: row.any(
        lambda r: "mini" in r["run_config"]["model"] and r["attempts"] == 2
    ),
    "cell:nowhere": lambda _: False,
    # all terms on results hold for one and the same result
    "status:ok attempts>1": lambda row: row.any(
        lambda r: r["status"] == "ok" and r["attempts"] > 1
    ),
    "finish:length cell:mini": lambda row: row.any(
        lambda r: finish(r) == "length" and "mini" in r["run_config"]["model"]
    ),
    "status:error cell:mini tag:eu": lambda row: (
        "eu" in row.tags
        and row.any(lambda r: r["status"] == "error" and "mini" in r["run_config"]["model"])
    ),
    "status:timeout OR status:error": lambda row: row.any(lambda r: r["status"] != "ok"),
    "status:error -error:BadRequestError": lambda row: row.any(
        lambda r: r["status"] == "error" and error(r) != "BadRequestError"
    ),
    "receipt -is:different latency<1s": lambda row: (
        "receipt" in row.text
        and not row.has("different")
        and row.any(lambda r: r["latency_ms"] < 1000)
    ),
}

UNREADABLE = {
    "latency>soon": "number",
    "nosuch:field": "nosuch",
    '"open': "quote",
    "status:maybe": "owed, ok, error, timeout",
    "OR refund": "OR",
    "refund OR": "OR",
    "is:odd": "different",
    "tag>3": "tag",
    "latency>": "latency",
}


@pytest.fixture(scope="module")
def page(browser: Browser, shop: Reported) -> Iterator[Page]:
    with chrome.tab(browser, viewport=chrome.ALL_ROWS) as opened:
        yield opened.open(shop.page)


@pytest.fixture(scope="module")
def rows(shop: Reported) -> list[Row]:
    return read_rows(shop.runs, REPEATS)


@pytest.fixture
def ask(page: Page, rows: list[Row]) -> Callable[[str], None]:
    """Types a query into the empty box, and waits until the page has taken it."""
    from playwright.sync_api import expect  # noqa: PLC0415 - tests are collected without it, too

    def typed(query: str) -> None:
        box = page.get_by_role("searchbox")
        box.fill("")
        expect(page).to_have_url(re.compile(r"^[^#]*$"))
        shows(page, rows)
        box.press_sequentially(query)
        expect(page).to_have_url(re.compile("#q="))

    return typed


TYPES_AS_A_QUERY_IS_TAKEN = """() => new Promise((done) => {
  const box = document.getElementById('query')
  const type = (more) => {
    box.value += more
    box.dispatchEvent(new Event('input', { bubbles: true }))
  }
  const frame = window.requestAnimationFrame
  window.requestAnimationFrame = () => 0 // what waits for one has to help itself
  box.value = ''
  type('refun')
  setTimeout(() => {
    type('d')
    setTimeout(() => {
      type('s')
      window.requestAnimationFrame = frame
      done()
    }, 90)
  }, 120)
})"""


def test_a_letter_typed_as_the_query_is_taken_is_not_lost(
    page: Page, ask: Callable[[str], None]
) -> None:
    from playwright.sync_api import expect  # noqa: PLC0415 - tests are collected without it, too

    ask("status:ok")
    page.evaluate(TYPES_AS_A_QUERY_IS_TAKEN)
    expect(page.get_by_role("searchbox")).to_have_value("refunds")
    expect(page).to_have_url(re.compile("#q=refunds$"))


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_shows_what_python_finds_in_the_files(
    page: Page, rows: list[Row], ask: Callable[[str], None], query: str
) -> None:
    ask(query)
    shows(page, [row for row in rows if QUERIES[query](row)])


def test_most_queries_of_the_table_find_some_rows_but_not_all(rows: list[Row]) -> None:
    found = [sum(bool(holds(row)) for row in rows) for holds in QUERIES.values()]
    assert sum(0 < number < len(rows) for number in found) > len(QUERIES) * 3 / 4


@pytest.mark.parametrize(("query", "word"), UNREADABLE.items())
def test_a_query_that_cannot_be_read_is_told_in_a_sentence_and_filters_nothing(
    page: Page, rows: list[Row], ask: Callable[[str], None], query: str, word: str
) -> None:
    from playwright.sync_api import expect  # noqa: PLC0415 - tests are collected without it, too

    ask(query)
    box = page.get_by_role("searchbox")
    expect(box).to_have_attribute("aria-invalid", "true")
    said = page.get_by_role("search").get_by_role("status")
    expect(said).to_contain_text(word, ignore_case=True)
    shows(page, rows)
