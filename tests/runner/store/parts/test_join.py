"""Parts become one results file, byte for byte, whatever the system can do."""

from __future__ import annotations

import errno
import os
import tempfile
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_eval_so.runner.store.parts import layout
from lm_eval_so.runner.store.parts.board import Board
from lm_eval_so.runner.store.parts.join import copy_range, join, remove_folder, totals_of
from lm_eval_so.runner.store.results import RESULTS
from lm_eval_so.runner.store.segments import open_results
from support.parts import into_parts
from support.results import result


def lines(count: int) -> list[bytes]:
    results = (
        result(f"s{number}", text=number * "x", fails=number % 4 == 3) for number in range(count)
    )
    return [each.model_dump_json().encode() + b"\n" for each in results]


def board_of(run_dir: Path) -> Board:
    shards = layout.read_shards(run_dir)
    assert shards is not None
    return Board(run_dir, shards)


@given(st.data(), st.integers(1, 12))
@settings(max_examples=25)
def test_what_is_joined_is_all_parts_and_slices_one_after_the_other(
    data: st.DataObject, count: int
) -> None:
    whole = lines(count)
    cuts = sorted(data.draw(st.sets(st.integers(1, max(count - 1, 1)), max_size=count - 1)))
    joined = data.draw(st.sets(st.integers(0, len(cuts))))
    with tempfile.TemporaryDirectory() as name:
        run_dir = Path(name)
        (run_dir / RESULTS).write_bytes(b"".join(whole))
        into_parts(run_dir, cuts, joined=sorted(joined))
        before = board_of(run_dir)
        pieces = list(before.pieces())
        totals = totals_of(run_dir, pieces)
        join(run_dir, pieces, totals)
        assert (run_dir / RESULTS).read_bytes() == b"".join(whole)
        assert not (run_dir / layout.PARTS).exists()
        after = board_of(run_dir)
        assert not after.has_parts
        assert [(each.range, each.lines, each.ok) for each in after.pieces()] == [
            (each.range, each.lines, each.ok) for each in pieces
        ]
        assert after.joined is not None
        for piece, (first, end) in zip(after.pieces(), pairwise([0, *cuts, count]), strict=True):
            begin, stop = piece.source.start, piece.source.end
            assert b"".join(whole)[begin:stop] == b"".join(whole[first:end])


@pytest.fixture
def files(tmp_path: Path) -> tuple[int, int]:
    """A descriptor of ten bytes, and one that has two already."""
    (tmp_path / "from").write_bytes(b"0123456789")
    target = os.open(tmp_path / "to", os.O_RDWR | os.O_CREAT)
    os.write(target, b"--")
    return os.open(tmp_path / "from", os.O_RDONLY), target


def content(descriptor: int) -> bytes:
    return os.pread(descriptor, 100, 0)


def test_a_range_is_appended(files: tuple[int, int]) -> None:
    source, target = files
    copy_range(source, 2, 5, target)
    copy_range(source, 9, 10, target)
    copy_range(source, 4, 4, target)
    assert content(target) == b"--2349"


@pytest.mark.parametrize("error", [errno.EXDEV, errno.ENOSYS, errno.EPERM, errno.EIO])
def test_where_the_system_cannot_copy_the_bytes_are_read_and_written(
    files: tuple[int, int], error: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object, **__: object) -> int:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "copy_file_range", refuses)
    copy_range(*(files[0], 2, 5), files[1])
    assert content(files[1]) == b"--234"


def test_so_they_are_where_it_has_no_such_call_or_copies_nothing(
    files: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some file systems of some kernels answer that they have copied no bytes."""
    monkeypatch.setattr(os, "copy_file_range", lambda *_, **__: 0)
    copy_range(files[0], 0, 3, files[1])
    monkeypatch.delattr(os, "copy_file_range")
    copy_range(files[0], 3, 5, files[1])
    assert content(files[1]) == b"--01234"


def test_a_source_that_is_shorter_than_it_was_is_an_error(files: tuple[int, int]) -> None:
    with pytest.raises(OSError, match="shorter"):
        copy_range(files[0], 5, 11, files[1])


def test_a_removal_that_was_killed_leaves_no_old_part_that_passes_for_the_newest(
    tmp_path: Path,
) -> None:
    whole = lines(6)
    (tmp_path / RESULTS).write_bytes(b"".join(whole))
    into_parts(tmp_path, [3])
    old = tmp_path / layout.PARTS / layout.part_name(0, 0)
    old.write_bytes(whole[0])
    pieces = list(board_of(tmp_path).pieces())
    join(tmp_path, pieces, totals_of(tmp_path, pieces))
    left = tmp_path / "parts.removed"
    left.mkdir()
    (left / old.name).write_bytes(whole[0])
    with open_results(tmp_path) as file:
        assert file.read() == b"".join(whole)
    (tmp_path / layout.PARTS).mkdir()
    remove_folder(tmp_path)
    assert not left.exists()
    assert not (tmp_path / layout.PARTS).exists()
