"""A board that gets its lines in many steps is the one that gets them all at once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import rows
from lm_eval_so import RunConfig, RunnerOptions, run
from lm_eval_so.report.board import Board
from lm_eval_so.report.columns import Taker
from lm_eval_so.report.runs import named_runs
from lm_eval_so.runner.errors import NewerVersionError
from support.report_page import ReadPage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

REPEATS = 2


class Line(NamedTuple):
    """A result of a sample."""

    cell: int
    sample: int
    repeat: int
    is_ok: bool


LINES = st.lists(
    st.builds(
        Line, st.integers(0, 1), st.integers(0, 12), st.integers(0, REPEATS - 1), st.booleans()
    ),
    max_size=40,
)
IN_ORDER = st.lists(st.booleans(), min_size=1, max_size=40).map(
    lambda oks: [Line(0, n, 0, is_ok) for n, is_ok in enumerate(oks)]
)


class Cells:
    """Run directories whose results files are written by the test."""

    def __init__(self, dataset: Path, folder: Path) -> None:
        self.paths = [folder / name for name in "ab"]
        for path in self.paths:
            options = {"latency_ms": 0, "server_error": 0.5}
            config = RunConfig(backend="simulated", model=path.name, backend_options=options)
            run(dataset, config, options=RunnerOptions(max_retries=0), output_dir=path)
        lines = rows(self.paths[0] / "run_results.jsonl")
        self._templates = {
            is_ok: next(line for line in lines if (line["status"] == "ok") == is_ok)
            for is_ok in (True, False)
        }

    def clear(self) -> None:
        for path in self.paths:
            (path / "run_results.jsonl").write_bytes(b"")

    def write(self, lines: list[Line], of: int) -> None:
        for number, line in enumerate(lines, start=of):
            with (self.paths[line.cell] / "run_results.jsonl").open("a") as file:
                file.write(json.dumps(self._line(line, number)) + "\n")

    def _line(self, line: Line, number: int) -> dict[str, Any]:
        found = self._templates[line.is_ok] | {
            "sample_id": f'sample "{line.sample}"\n',
            "repeat": line.repeat,
            "request_key": f"{number:064x}",
            "latency_ms": float(number),
            "request_messages": [{"role": "user", "content": f"question {line.sample}"}],
            "request_context": {
                "sample_tags": ["odd"] * (line.sample % 2),
                "sample_metadata": {"third": line.sample // 3},
            },
        }
        if line.is_ok:
            found["response"] |= {"text": f"answer {(line.cell + line.repeat) % 2}"}
        else:
            found["error"] |= {"error_type": f"Error{number % 3}"}
        return found

    def board(self, cells: int) -> Board:
        board = Board(named_runs(self.paths[:cells]))
        board.update()
        return board


@pytest.fixture
def cells(make_dataset: Callable[..., Path], tmp_path: Path) -> Cells:
    return Cells(make_dataset(12), tmp_path / "runs")


def bytes_of(board: Board) -> bytes:
    return b"".join(board.columns().pieces())


def taken(board: Board, at_once: int | None) -> list[list[bytes]]:
    taker = Taker([run.index for run in board.runs], board.rows, at_once)
    tagsets = [run.index.columns["tagset"] for run in board.runs]
    same = [range(1000)] * len(board.runs)
    columns = [
        *(taker.results(name, 0) for name in ("status", "latency", "length")),
        taker.translated("error", same),
        taker.shifted("start", [0.5] * len(board.runs)),
        taker.of_rows(tagsets, same),
        taker.answers(),
    ]
    made = [b"".join(map(bytes, column)) for column in columns]
    return [made, [b",".join(taker.ids())]]


def by_id(page: ReadPage) -> dict[str, object]:
    """All that is told of each row; of several cells the order of rows is that of their coming."""
    of_rows = {"tagset", *(f"field.{field['name']}" for field in page.manifest["fields"])}
    columns = {each["name"]: page.column(each["name"]) for each in page.manifest["columns"]}
    columns["error"] = [page.manifest["errors"][int(number)] for number in columns["error"]]
    columns["tagset"] = [page.manifest["tagsets"][int(number)] for number in columns["tagset"]]
    for field in page.manifest["fields"]:
        name = f"field.{field['name']}"
        columns[name] = [field["values"][int(number)] for number in columns[name]]
    count = page.manifest["rows"]
    return {
        name: [
            page.rows[row],
            {
                column: repr(values[row] if column in of_rows else values[row::count])
                for column, values in columns.items()
            },
        ]
        for row, name in enumerate(page.ids)
    }


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.one_of(LINES, IN_ORDER),
    sizes=st.lists(st.integers(1, 12), min_size=1),
    count=st.integers(1, 2),
)
def test_many_steps_make_the_board_of_one(
    cells: Cells, lines: list[Line], sizes: list[int], count: int
) -> None:
    cells.clear()
    lines = [line for line in lines if line.cell < count]
    board, done, moments = cells.board(count), 0, []
    while done < len(lines):
        some = lines[done : done + sizes[done % len(sizes)]]
        cells.write(some, done)
        done += len(some)
        assert board.update()
        columns = board.columns()
        moments.append((columns, b"".join(columns.pieces())))
        assert len(moments[-1][1]) == len(columns)
    at_once = cells.board(count)
    assert by_id(ReadPage.of_board(board)) == by_id(ReadPage.of_board(at_once))
    assert [c["counts"] for c in board.manifest()["cells"]] == [
        c["counts"] for c in at_once.manifest()["cells"]
    ]
    if count == 1:
        assert bytes_of(board) == bytes_of(at_once)
    assert taken(board, 3) == taken(board, None), "it does not matter how much is taken at once"
    for columns, content in moments:
        assert b"".join(columns.pieces()) == content, "an index is that of its moment"


def test_a_run_that_was_read_when_another_one_could_not_be_is_in_the_next_update(
    cells: Cells,
) -> None:
    cells.clear()
    board = cells.board(2)
    cells.write([Line(0, 1, 0, is_ok=True)], 0)
    newer = cells.paths[1] / "run_results.jsonl"
    newer.write_text(json.dumps({"schema_version": 99}) + "\n")
    with pytest.raises(NewerVersionError):
        board.update()
    newer.write_text("")
    assert board.update()
    assert ReadPage.of_board(board).ids == ['sample "1"\n']
