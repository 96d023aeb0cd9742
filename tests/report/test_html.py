"""The file: one page, nothing from outside, whatever models and servers wrote."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lm_eval_so.report.board import Board
from lm_eval_so.report.html import PAGE, html_of
from lm_eval_so.report.runs import named_runs
from lm_eval_so.runner.errors import LmEvalError
from lm_eval_so.runner.hydra_app.app import main
from support.report_page import ReadPage

if TYPE_CHECKING:
    from collections.abc import Callable

HOSTILE = [
    "</script><script>alert(1)</script>",
    "<!-- <script>",
    '"><img src=x onerror=alert(1)>',
    "a\u2028b\u2029c",
    "\u202eright to left\u2066",
    "\x00\x1b[31m\x7f",
    "\U0001f600" * 1000,
    "x" * 100_000,
    "]]></title></style>",
    "\\u003c/script\\u003e",
]


@pytest.fixture
def run_dir(make_dataset: Callable[..., Path]) -> Path:
    """A run with one sample for each hostile text, which is also its answer."""
    asked = {f"s{n}": text for n, text in enumerate(HOSTILE)}
    dataset = make_dataset(len(HOSTILE), "h<o>stile", **asked)
    target = ["backend=simulated", "dataset=path", f"dataset.path='{dataset}'"]
    assert main([*target, "backend.options.latency_ms=1", "output_dir=run"]) == 0
    return Path("run")


def page_of(directory: Path, page: Path = PAGE) -> bytes:
    board = Board(named_runs([directory]))
    board.update()
    return b"".join(html_of(board, page))


def written(directory: Path) -> ReadPage:
    path = directory / "page.html"
    path.write_bytes(page_of(directory))
    return ReadPage.of_file(path)


def test_hostile_texts_are_data(run_dir: Path) -> None:
    page = written(run_dir)
    assert [row["messages"][0]["content"] for row in page.rows] == HOSTILE
    assert [row["results"][0]["text"] for row in page.rows] == HOSTILE


def test_no_text_of_a_run_is_markup(run_dir: Path) -> None:
    text = page_of(run_dir).decode()
    without = re.sub(r"<(script|style)[^>]*>.*?</\1>", "", text, flags=re.DOTALL)
    assert "alert" not in without
    assert "<title>h&lt;o&gt;stile</title>" in without
    tags = set(re.findall(r"<(/?\w+)", without))
    assert tags == {
        *("html", "/html", "head", "/head", "meta", "title", "/title", "body", "/body"),
        *("div", "/div", "noscript", "/noscript"),
    }
    assert text.count("<script") == text.count("</script>")


def test_deep_values_are_data_and_a_line_that_no_run_reads_is_counted(run_dir: Path) -> None:
    path = run_dir / "run_results.jsonl"
    first, second, *_ = map(json.loads, path.read_bytes().split(b"\n")[:2])
    first["response"]["text"] = "half \ud83d"
    second["request_context"]["expected"] = deep = nested(300)
    path.write_text("".join(json.dumps(line) + "\n" for line in (first, second)))
    page = written(run_dir)
    assert page.ids == ["s1"]
    assert page.rows[0]["expected"] == deep
    assert page.manifest["damaged"] == 1


def nested(levels: int) -> Any:  # noqa: ANN401 - any JSON value
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def test_the_policy_allows_what_stands_in_the_page_and_nothing_else(run_dir: Path) -> None:
    text = page_of(run_dir).decode()
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    allowed = dict(part.split(" ", 1) for part in policy.split("; "))
    assert allowed == {
        "default-src": "'none'",
        "script-src": f"'sha256-{digest(script)}'",
        "style-src": f"'sha256-{digest(style)}'",
        "img-src": "data: blob:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_the_script_comes_before_the_blocks(run_dir: Path) -> None:
    text = page_of(run_dir)
    places = [text.index(part) for part in (b'id="manifest"', b'id="index"', b"<script>")]
    assert sorted(places) == places
    assert places[-1] < text.index(b'id="block-0"')


def test_the_same_runs_make_the_same_file(run_dir: Path) -> None:
    created = re.compile(rb'"created_at":"[^"]+"')
    assert created.sub(b"", page_of(run_dir)) == created.sub(b"", page_of(run_dir))


def test_a_script_that_names_its_own_end_stays_whole(run_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "page.js").write_text('let end = "</script>"')
    (tmp_path / "page.css").write_text("b{}")
    text = page_of(run_dir, tmp_path)
    assert b'<script>let end = "<\\/script>"</script>' in text


def test_a_page_that_is_not_built_is_told(run_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(LmEvalError, match=r"not built: .*page\.js cannot be read"):
        page_of(run_dir, tmp_path)
