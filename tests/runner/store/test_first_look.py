"""A results file that is finished and in order is read once, and only as long as it is so."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Self

import pytest

from conftest import rows
from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.store.directory import RunDirectory
from support.metadata import metadata
from support.results import result

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lm_eval_so.runner.store.run_metadata import State

IDENTITY = {"dataset": "d", "model": "m"}
ABC = [("a", "k"), ("b", "k"), ("c", "k")]
"""Sample ids and request keys."""


def finished(path: Path, state: State = "complete") -> Path:
    """The results file of a run that has ended like this, in dataset order."""
    with RunDirectory(path, IDENTITY, len(ABC), Redactor()) as directory:
        for index, (sample_id, _) in enumerate(ABC):
            directory.add(index, result(sample_id))
        directory.put_in_order()
        directory.write_metadata(metadata(identity=IDENTITY, state=state))
    return path / "run_results.jsonl"


class Look:
    """Opens a directory again, and finds the line of each sample."""

    def __init__(self, path: Path, asked: list[tuple[str, str]] = ABC) -> None:
        self.seen: list[Any] = []
        self.directory = RunDirectory(path, IDENTITY, len(asked), Redactor())
        self.directory.first_look = self.seen.append
        self.asked = asked

    def __enter__(self) -> Self:
        self.directory.__enter__()
        for index, (sample_id, key) in enumerate(self.asked):
            self.directory.ledger.find(index, sample_id, key)
        return self

    def __exit__(self, *_: object) -> None:
        self.directory.__exit__(None, None, None)


def test_the_lines_of_a_finished_run_are_shown_while_it_is_opened(tmp_path: Path) -> None:
    path = finished(tmp_path)
    with Look(tmp_path) as look:
        assert look.directory.is_as_opened()
    assert [line["sample_id"] for line in look.seen] == ["a", "b", "c"]
    ordered: list[Any] = []
    with Look(tmp_path) as look:
        look.directory.put_in_order(ordered.append)
    assert look.seen == ordered
    assert len(rows(path)) == 3


@pytest.mark.parametrize("state", ["running", "partial", "aborted"])
def test_of_any_other_run_nothing_is_shown(tmp_path: Path, state: State) -> None:
    finished(tmp_path, state)
    with Look(tmp_path) as look:
        assert not look.directory.is_as_opened()
    assert not look.seen


def test_metadata_that_are_damaged_show_nothing_and_are_no_fault(tmp_path: Path) -> None:
    finished(tmp_path)
    path = tmp_path / "run_metadata.json"
    path.write_text(path.read_text().replace('"complete"', '"somehow"'))
    with Look(tmp_path) as look:
        assert not look.directory.is_as_opened()
    assert not look.seen


def reversed_lines(path: Path) -> None:
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[::-1]))


def with_a_damaged_line(path: Path) -> None:
    first, *others = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([first, b"x\n", *others]))


def with_a_blank_line(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n")


def with_a_line_twice(path: Path) -> None:
    path.write_bytes(path.read_bytes() + path.read_bytes().splitlines(keepends=True)[0])


def torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    "damage",
    [reversed_lines, with_a_damaged_line, with_a_blank_line, with_a_line_twice, torn],
)
def test_a_file_that_has_to_be_put_in_order_is_not_as_it_was_opened(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    path = finished(tmp_path)
    damage(path)
    with Look(tmp_path) as look:
        assert not look.directory.is_as_opened()
        look.directory.put_in_order()
    assert [row["sample_id"] for row in rows(path)] == ["a", "b", "c"]
    with Look(tmp_path) as look:
        assert look.directory.is_as_opened()


@pytest.mark.parametrize(
    "asked",
    [[("b", "k"), ("a", "k"), ("c", "k")], ABC[:2], [*ABC[:2], ("c", "other")]],
    ids=["another-order", "fewer", "another-question"],
)
def test_a_dataset_that_was_edited_has_to_be_put_in_order(
    tmp_path: Path, asked: list[tuple[str, str]]
) -> None:
    finished(tmp_path)
    with Look(tmp_path, asked) as look:
        assert not look.directory.is_as_opened()


def test_what_is_written_after_the_first_look_has_to_be_put_in_order(tmp_path: Path) -> None:
    finished(tmp_path)
    with Look(tmp_path) as look:
        look.directory.add(1, result("b", text="another answer"))
        assert not look.directory.is_as_opened()


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def touched(path: Path) -> None:
    os.utime(path, ns=(1, 1))


def replaced(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.replace(path)


@pytest.mark.parametrize("change", [cut, touched, replaced, os.unlink])
def test_a_file_that_was_changed_after_the_first_look_is_not_believed(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    path = finished(tmp_path)
    with Look(tmp_path) as look:
        change(path)
        assert not look.directory.is_as_opened()
