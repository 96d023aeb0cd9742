"""The index over the lines of a results file."""

from __future__ import annotations

import io
import json
import math
import shutil
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from conftest import rows
from lm_eval_so.report.kept_index import read_index, write_index
from lm_eval_so.report.result_columns import COLUMNS, STATUS
from lm_eval_so.report.result_line import read_result_line
from lm_eval_so.report.run_index import Change, RunIndex
from lm_eval_so.runner.errors import NewerVersionError
from lm_eval_so.runner.hydra_app.app import main
from lm_eval_so.runner.store.line import read_whole
from support.mutate import Answer, change_bytes, change_part, cut

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FAULTS = ["server_error=0.2", "truncated=0.2", "refusal=0.1", "hang=0.1"]


@pytest.fixture
def run_dir(tmp_path: Path, make_dataset: Callable[..., Path]) -> Path:
    """A run of 40 samples of which some fail."""
    options = [f"backend.options.{fault}" for fault in (*FAULTS, "latency_ms=1")]
    main(
        [
            *("backend=simulated", "dataset=path", f"dataset.path={make_dataset(40)}"),
            *("output_dir=run", "runner.max_retries=0", "runner.timeout=0.3", *options),
        ]
    )
    return tmp_path / "run"


def indexed(directory: Path) -> RunIndex:
    index = RunIndex(directory)
    index.extend()
    return index


def lines_of(directory: Path) -> list[bytes]:
    return (directory / "run_results.jsonl").read_bytes().splitlines(keepends=True)


def content(index: RunIndex) -> dict[str, Any]:
    columns = {name: column.tobytes() for name, column in index.columns.items()}
    ids = [index.sample_id(line) for line in range(len(index))]
    return {**columns, "ids": ids, "damaged": index.damaged, "position": index.position}


def test_each_line_has_the_values_that_stand_in_it(run_dir: Path) -> None:
    index, written = indexed(run_dir), rows(run_dir / "run_results.jsonl")
    columns, words = index.columns, index.vocabulary
    assert len(index) == len(written) == 40
    assert {line["status"] for line in written} >= {"ok", "error"}
    whole = (run_dir / "run_results.jsonl").read_bytes()
    for number, line in enumerate(written):
        answer, error = line["response"] or {}, line["error"] or {}
        tokens = answer.get("tokens") or {}
        assert index.sample_id(number) == line["sample_id"]
        assert json.loads(whole[columns["offset"][number] :].partition(b"\n")[0]) == line
        assert columns["status"][number] == STATUS[line["status"]]
        assert columns["length"][number] == len(answer.get("text", ""))
        assert words.errors.words[columns["error"][number]] == error.get("error_type", "")
        reason = answer.get("finish_reason") or ""
        assert words.finish_reasons.words[columns["finish"][number]] == reason
        assert columns["attempts"][number] == line["attempts"]
        assert same(columns["input"][number], tokens.get("input"))
        assert columns["latency"][number] == pytest.approx(line["latency_ms"])


def same(value: float, expected: float | None) -> bool:
    return math.isnan(value) if expected is None else value == expected


def test_a_file_read_in_any_two_parts_is_the_file_read_at_once(run_dir: Path) -> None:
    path = run_dir / "run_results.jsonl"
    whole, expected = path.read_bytes(), content(indexed(run_dir))
    for at in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        with path.open("r+b") as file:
            file.truncate(at)
        index = indexed(run_dir)
        with path.open("r+b") as file:
            file.seek(at)
            file.write(whole[at:])
        change = index.extend()
        assert not change.replaced
        assert content(index) == expected, at
        assert index.extend() == Change(0, replaced=False)


def test_a_whole_line_counts_before_its_newline_comes(run_dir: Path) -> None:
    path = run_dir / "run_results.jsonl"
    expected = content(indexed(run_dir))
    path.write_bytes(path.read_bytes().removesuffix(b"\n"))
    index = indexed(run_dir)
    assert len(index) == 40
    with path.open("ab") as file:
        file.write(b"\n")
    assert index.extend().added == 0
    assert content(index) == expected


def test_damaged_lines_are_passed_over_and_counted(run_dir: Path) -> None:
    first, second, *rest = lines_of(run_dir)
    path = run_dir / "run_results.jsonl"
    path.write_bytes(b"".join([first, b"{}\n", second[:99] + b"\n", b"\n", second, *rest[:3]]))
    index = indexed(run_dir)
    assert (len(index), index.damaged) == (5, 2)
    path.write_bytes(first + second[:99])
    assert index.extend() == Change(1, replaced=True)
    assert index.damaged == 0, "the rest may still come"


def test_what_another_file_has_is_read_anew(run_dir: Path) -> None:
    path, index = run_dir / "run_results.jsonl", indexed(run_dir)
    lines = lines_of(run_dir)
    new = path.with_name("new")
    new.write_bytes(b"".join(reversed(lines)))
    new.replace(path)
    assert index.extend() == Change(40, replaced=True)
    assert content(index) == content(indexed(run_dir))
    path.unlink()
    assert index.extend() == Change(0, replaced=True)
    assert len(index) == 0


def test_a_run_that_has_no_results_yet_is_empty(tmp_path: Path) -> None:
    index = RunIndex(tmp_path)
    assert index.extend() == Change(0, replaced=False)
    assert not index.extend()


def test_a_line_of_a_newer_release_is_refused(run_dir: Path) -> None:
    with (run_dir / "run_results.jsonl").open("ab") as file:
        file.write(lines_of(run_dir)[0].replace(b'"schema_version":2', b'"schema_version":99'))
    with pytest.raises(NewerVersionError):
        indexed(run_dir)


def test_lines_that_a_run_takes_for_whole_are_whole(run_dir: Path) -> None:
    """Whatever happened to a line, both readers see the same."""
    chance = Random(18)
    parts = [json.loads(line) for line in lines_of(run_dir)[:12]]
    answers = [Answer("", [part], streamed=False) for part in parts]
    whole = 0
    for _ in range(3000):
        change = chance.choice((change_part, change_part, change_bytes, cut))
        line = change(chance, chance.choice(answers))
        expected = seen(lambda line=line: bool(read_whole(line)))  # type: ignore[misc]
        found = seen(lambda line=line: read_result_line(line, "f") is not None)  # type: ignore[misc]
        whole += found is True
        assert found == expected, line
    assert 300 < whole < 2700


def seen(read: Callable[[], bool]) -> bool | str:
    try:
        return read()
    except NewerVersionError:
        return "newer"
    except ValueError:
        return False


def kept(index: RunIndex) -> io.BytesIO:
    file = io.BytesIO()
    write_index(index, file)
    file.seek(0)
    return file


def test_an_index_is_read_as_it_was_written(run_dir: Path) -> None:
    index = indexed(run_dir)
    again = read_index(run_dir, kept(index))
    assert again is not None
    assert content(again) == content(index)
    assert not again.extend()
    assert again.vocabulary.errors.words == index.vocabulary.errors.words


def test_a_kept_index_goes_on_with_a_file_that_has_grown(run_dir: Path) -> None:
    lines, path = lines_of(run_dir), run_dir / "run_results.jsonl"
    expected = content(indexed(run_dir))
    path.write_bytes(b"".join(lines[:20]))
    file = kept(indexed(run_dir))
    with path.open("ab") as grown:
        grown.writelines(lines[20:])
    index = read_index(run_dir, file)
    assert index is not None
    assert len(index) == 20
    assert index.extend() == Change(20, replaced=False)
    assert content(index) == expected


@pytest.mark.parametrize("what", ["cut", "other columns", "other file", "no file", "nothing"])
def test_a_kept_index_of_something_else_is_not_taken(run_dir: Path, what: str) -> None:
    path, file = run_dir / "run_results.jsonl", kept(indexed(run_dir))
    if what == "cut":
        file.truncate(len(file.getvalue()) - 1)
    elif what == "other columns":
        file = io.BytesIO(file.getvalue().replace(b'"offset": "Q"', b'"offset": "I"'))
    elif what == "other file":
        shutil.copy(path, path.with_name("copy"))
        path.with_name("copy").replace(path)
    elif what == "no file":
        path.unlink()
    else:
        file = io.BytesIO()
    assert read_index(run_dir, file) is None


def test_a_line_takes_a_hundred_bytes(run_dir: Path) -> None:
    sizes = {"Q": 8, "f": 4, "I": 4, "H": 2, "B": 1}
    index = indexed(run_dir)
    assert all(index.columns[name].itemsize == sizes[code] for name, code in COLUMNS.items())
    assert sum(sizes[code] for code in COLUMNS.values()) <= 100
