"""What a page of a report takes in a browser: to open, to scroll, to step; and its size."""

from __future__ import annotations

import random
import subprocess
from dataclasses import dataclass
from hashlib import sha256
from pydoc_data.topics import topics
from typing import TYPE_CHECKING

import orjson

from measure import BIN, Figure
from memory import command, write
from support.browser import chromium, launch, tab

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page

    from measure import Bench

FEW, MANY = 200, 200_000
STEPS = 40

# Milliseconds from the start of the navigation until a row's answer is drawn.
_READABLE = """
() => new Promise((resolve) => {
  const look = () => {
    const cell = document.querySelector('[role=row] [role=gridcell]:last-child')
    if (cell && cell.textContent.trim()) requestAnimationFrame(() => resolve(performance.now()))
    else requestAnimationFrame(look)
  }
  look()
})
"""
# Scrolls for two seconds; gives the frames a second, and how many rows further the table is.
_SCROLL = """
() => new Promise((resolve) => {
  const grid = document.querySelector('[role=grid]')
  let scroller = grid
  const scrolls = (one) => one.scrollHeight > one.clientHeight
    && getComputedStyle(one).overflowY !== 'visible'
  while (!scrolls(scroller)) scroller = scroller.parentElement ?? document.scrollingElement
  const rows = () => [...grid.querySelectorAll('[role=row]')]
  const top = () => Math.max(...rows().map((row) => row.ariaRowIndex))
  const before = top()
  const times = []
  const frame = (now) => {
    times.push(now)
    scroller.scrollTop += 120
    if (now - times[0] < 2000) return requestAnimationFrame(frame)
    resolve([1000 * (times.length - 1) / (times.at(-1) - times[0]), top() - before])
  }
  requestAnimationFrame(frame)
})
"""
# Milliseconds from each key until the drawer shows another sample, drawn.
_STEP = """
async (steps) => {
  const took = []
  const dialog = document.querySelector('dialog[open]')
  const shown = () => dialog.querySelector('article') && dialog.querySelector('h2').textContent
  for (let step = 0; step < steps; step++) {
    const before = shown()
    const began = performance.now()
    dialog.dispatchEvent(new KeyboardEvent('keydown', { key: 'j', bubbles: true }))
    while ([before, null].includes(shown())) await new Promise(requestAnimationFrame)
    took.push(performance.now() - began)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return took.sort((a, b) => a - b)
}
"""


@dataclass(frozen=True)
class Opened:
    """What a page took.

    Attributes:
        readable_ms: From its opening until the first answer is drawn.
        frames: A second, while it is scrolled.
        step_ms: Until the next sample is drawn: the median, and the 95th percentile.
    """

    readable_ms: float
    frames: float
    step_ms: tuple[float, float]


def page(bench: Bench) -> Iterator[Figure]:
    """Pages of 200 and of 200,000 results; left out where there is no browser."""
    if chromium() is None:
        yield Figure("page of a report", "no chromium here", "", met=True)
        return
    for count, bound_ms in ((FEW, 1000), (MANY, 3000)):
        file = written(bench, count)
        took = opened(file)
        each = file.stat().st_size / count
        named = f"page of {count:,} results"
        yield _at_most(f"{named}: readable", took.readable_ms, bound_ms, "ms")
        if count == MANY:
            yield _at_most(f"{named}: bytes a result", each, 700, "bytes")
            yield Figure(
                f"{named}: scrolling",
                f"{took.frames:.0f} frames a second",
                "at least 50",
                took.frames >= 50,
            )
            middle, slow = took.step_ms
            yield Figure(
                f"{named}: next sample",
                f"{middle:.0f} ms, 95th percentile {slow:.0f} ms",
                "at most 50 ms",
                middle <= 50,
            )


def _at_most(what: str, value: float, bound: float, unit: str) -> Figure:
    return Figure(what, f"{value:,.0f} {unit}", f"at most {bound:,} {unit}", value <= bound)


def written(bench: Bench, count: int) -> Path:
    """The page of a run of so many samples, made of one that was carried out."""
    dataset, run = bench.folder / f"page-{count}.jsonl", bench.folder / f"page-{count}"
    write(dataset, 1)
    command(dataset, run)
    _answer(run / "run_results.jsonl", count)
    file = bench.folder / f"page-{count}.html"
    subprocess.run([BIN / "lm-eval-so", "report", run, "-o", file], check=True, capture_output=True)
    return file


def _answer(results: Path, count: int) -> None:
    """Makes one result many, whose questions and answers are prose: that of Python's own help."""
    result = orjson.loads(results.read_bytes())
    words = " ".join(topics.values()).split()
    chance = random.Random(3)
    with results.open("wb") as file:
        for number in range(count):
            result["sample_id"] = f"sample-{number:06}"
            result["request_messages"] = [{"role": "user", "content": _prose(words, 25, chance)}]
            result["response"]["text"] = _prose(words, chance.randrange(10, 110), chance)
            result["response"]["tokens"] = {"input": 30, "output": 60, "total": 90}
            result["latency_ms"] = round(chance.lognormvariate(6, 0.5), 3)
            result["request_key"] = result["trace_id"] = sha256(b"%d" % number).hexdigest()
            file.write(orjson.dumps(result) + b"\n")


def _prose(words: list[str], count: int, chance: random.Random) -> str:
    first = chance.randrange(len(words) - count)
    return " ".join(words[first : first + count])


def opened(file: Path) -> Opened:
    """Opens a page, scrolls it and steps through samples."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - the other parts need none

    with sync_playwright() as playwright:
        browser = launch(playwright)
        with tab(browser) as used:
            readable = _readable(used.page, file)
            frames, further = used.page.evaluate(_SCROLL)
            if further < FEW / 2:
                raise RuntimeError(f"the table scrolled by {further} rows only")
            used.page.get_by_role("grid").press("Home")
            used.page.get_by_role("grid").press("Enter")
            used.page.get_by_role("dialog").get_by_role("article").first.wait_for()
            steps: list[float] = used.page.evaluate(_STEP, STEPS)
        browser.close()
    return Opened(readable, frames, (steps[len(steps) // 2], steps[int(len(steps) * 0.95)]))


def _readable(page: Page, file: Path) -> float:
    page.goto(file.as_uri(), wait_until="commit")
    value: float = page.evaluate(_READABLE)
    return value
