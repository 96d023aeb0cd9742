"""What a page sees of runs that go on, end, are killed, resumed or removed."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from lm_eval_so.report.board import Board
from lm_eval_so.report.runs import named_runs
from lm_eval_so.report.view.folder import Folder
from lm_eval_so.report.view.open_board import OpenBoard
from support.viewer import Run, Viewer, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    View = Callable[..., Viewer]

COUNT = 8


@pytest.fixture
def gated(tmp_path: Path) -> Iterator[Run]:
    with Run(tmp_path, COUNT) as run:
        yield run


class Page:
    """What a page does: keeps a manifest, asks for the revision, and loads anew when it grew."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self.base = until(viewer.boards, bool)[0]
        self.load()

    def load(self) -> None:
        self.manifest: dict[str, Any] = self._viewer.get(f"{self.base}manifest.json")

    def follow(self) -> bool:
        """Looks once; says whether there was anything new."""
        is_new = self._viewer.get(f"{self.base}revision") > self.manifest["revision"]
        if is_new:
            self.load()
        return is_new

    @property
    def answers(self) -> dict[str, str]:
        """Each text that is there, by sample, through all the blocks."""
        blocks = (self.block(number) for number in range(self.manifest["blocks"]))
        return {row["id"]: row["results"][0]["text"] for rows in blocks for row in rows}

    def block(self, number: int) -> list[dict[str, Any]]:
        revision = self.manifest["revision"]
        rows: list[dict[str, Any]] = self._viewer.get(f"{self.base}block/{number}?r={revision}")
        return rows

    def columns(self) -> bytes:
        index = self._viewer.ask(f"{self.base}index.bin?r={self.manifest['revision']}")
        return index.body

    def seen(self, answered: int) -> Page:
        """Follows until so many results are there."""

        def look() -> int:
            self.follow()
            counts = self.manifest["cells"][0]["counts"]
            return int(counts["ok"] + counts["failed"])

        until(look, lambda count: count == answered)
        return self


def texts(*numbers: int) -> dict[str, str]:
    return {f"s{n}": f"answer {n}" for n in numbers}


def test_a_page_gets_the_answers_as_they_come_and_the_end(gated: Run, view: View) -> None:
    viewer = view()
    gated.allow([5, 2])
    page = Page(viewer).seen(2)
    assert page.manifest["live"] is True
    assert page.answers == texts(5, 2)
    assert 'data-running="yes"' in viewer.ask("/").text
    old = page.manifest["revision"]
    gated.allow([7])
    page.seen(3)
    assert page.manifest["revision"] > old
    assert page.answers == texts(5, 2, 7)
    gated.allow([0, 1, 3, 4, 6])
    gated.finish()
    page.seen(COUNT)
    until(page.follow, lambda _: not page.manifest["live"])
    assert page.manifest["cells"][0]["state"] == "complete"
    assert page.answers == texts(*range(COUNT))
    until(lambda: viewer.ask("/").text, lambda text: 'data-running="no"' in text)


def test_after_a_look_there_is_a_pause_as_long_as_itself_within_bounds(
    answered: Callable[..., Path], tmp_path: Path
) -> None:
    """A page that looks each second has a new answer at its second look."""
    answered()
    times = iter([0.0])
    board = OpenBoard("t", tmp_path / "outputs", None, clock=lambda: next(times))
    runs = [*Folder((tmp_path / "outputs").resolve()).look().runs.values()]
    for took, pause in ((0.1, 0.3), (1.0, 1.0), (60.0, 5.0)):
        times = iter([0.0, took, took + 0.99 * pause, took + 1.01 * pause])
        board.refresh(runs)
        assert board.problem is None
        assert [board.is_due, board.is_due] == [False, True]


def test_rows_of_the_file_before_its_end_are_never_mixed_with_those_after(
    gated: Run, view: View
) -> None:
    """The end of a run puts the file in order while a page holds the order before."""
    viewer = view()
    gated.allow([7, 6, 5])
    page = Page(viewer).seen(3)
    before = page.block(0)
    assert [row["id"] for row in before] == ["s7", "s6", "s5"]
    gated.allow([4, 3, 2, 1, 0])
    gated.finish()
    block = f"{page.base}block/0?r={page.manifest['revision']}"
    after = until(lambda: viewer.ask(block), lambda answer: answer.status != 503)
    assert after.status == 409 or [row["id"] for row in after.json][:3] == ["s7", "s6", "s5"]
    page.seen(COUNT)
    assert [row["id"] for row in page.block(0)] == [f"s{n}" for n in range(COUNT)]
    assert viewer.ask(block).status == 409


def test_a_killed_run_is_stopped_and_goes_on_in_the_same_page(gated: Run, view: View) -> None:
    viewer = view()
    gated.allow([3])
    page = Page(viewer).seen(1)
    gated.process.kill()
    gated.process.wait()
    until(page.follow, lambda _: not page.manifest["live"])
    until(lambda: viewer.ask("/").text, lambda text: ">stopped<" in text)
    gated.start()
    gated.allow([1])
    page.seen(2)
    until(page.follow, lambda _: page.manifest["live"])
    assert page.answers == texts(3, 1)
    gated.allow([0, 2, 4, 5, 6, 7])
    gated.finish()
    assert page.seen(COUNT).answers == texts(*range(COUNT))


def test_a_line_that_is_still_being_written_counts_when_it_is_whole(
    view: View, answered: Callable[..., Path]
) -> None:
    directory = answered(count=3)
    page = Page(view())
    results = directory / "run_results.jsonl"
    line = json.loads(results.read_text().splitlines()[0]) | {"sample_id": "new"}
    text = json.dumps(line) + "\n"
    with results.open("a") as file:
        file.write(text[:100])
        file.flush()
        for _ in range(3):
            page.load()
            assert page.manifest["rows"] == 3
        file.write(text[100:])
    page.seen(4)
    assert list(page.answers)[-1] == "new"


def test_a_directory_that_is_deleted_is_gone_and_the_server_stays(
    view: View, answered: Callable[..., Path]
) -> None:
    directory = answered("one")
    answered("other")
    viewer = view()
    gone, stays = viewer.boards()[::-1]
    assert viewer.get(f"{gone}manifest.json")["rows"] == 3
    shutil.rmtree(directory)
    answer = until(lambda: viewer.ask(f"{gone}manifest.json"), lambda answer: answer.status != 200)
    assert answer.status == 410
    assert answer.json == {"error": "this run is not in the folder any more"}
    assert viewer.ask(f"{gone}block/0").status == 410
    assert viewer.ask(gone).status == 404
    assert viewer.get(f"{stays}manifest.json")["rows"] == 3
    assert until(viewer.boards, lambda boards: len(boards) == 1) == [stays]


def test_a_restart_uses_what_was_kept_and_finds_what_has_changed(
    view: View, answered: Callable[..., Path], tmp_path: Path
) -> None:
    directory = answered(count=20_001)
    first = Page(view())
    until(lambda: list((tmp_path / "cache").rglob("*.page")), bool)
    again = Page(view())
    assert again.manifest | {"created_at": ""} == first.manifest | {"created_at": ""}
    assert again.block(3) == first.block(3)
    results = directory / "run_results.jsonl"
    lines = results.read_text().splitlines(keepends=True)
    results.unlink()
    results.write_text("".join(reversed(lines)))
    until(again.follow, bool)
    assert [page.block(0)[0]["id"] for page in (again, Page(view()))] == ["s20000"] * 2


def test_a_restart_goes_on_from_what_was_kept(
    view: View, answered: Callable[..., Path], tmp_path: Path
) -> None:
    directory = answered(count=20_001)
    first = Page(view())
    until(lambda: list((tmp_path / "cache").rglob("*.page")), bool)
    results = directory / "run_results.jsonl"
    line = json.loads(results.read_text().splitlines()[7])
    with results.open("a") as file:
        file.write(json.dumps(line | {"latency_ms": 7777.0}) + "\n")
        file.write(json.dumps(line | {"sample_id": "new"}) + "\n")
    again = Page(view())
    assert again.manifest["rows"] == 20_002
    assert again.manifest["block_rows"] == first.manifest["block_rows"]
    assert again.block(0)[7]["results"][0]["latency_ms"] == 7777.0
    assert again.answers == first.answers | {"new": first.answers["s7"]}
    board = Board(named_runs([directory]))
    board.update()
    assert again.columns() == b"".join(board.columns().pieces())


def test_what_is_kept_and_damaged_is_made_anew(
    view: View, answered: Callable[..., Path], tmp_path: Path
) -> None:
    answered(count=20_001)
    first = Page(view()).answers

    def kept() -> list[Path]:
        return [path for path in (tmp_path / "cache").rglob("*.*") if path.suffix != ".tmp"]

    for path in until(kept, lambda found: len(found) == 2):
        path.write_bytes(path.read_bytes()[:-100])
    assert Page(view()).answers == first


def test_a_cache_that_cannot_be_written_costs_only_time(
    view: View, answered: Callable[..., Path], tmp_path: Path
) -> None:
    answered(count=2_001)
    (tmp_path / "cache").write_text("no folder")
    assert len(Page(view()).answers) == 2_001
