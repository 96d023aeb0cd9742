"""What is kept between two commands is read as it was written, or not at all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO

import pytest

from lm_eval_so.report.view.cache import cached_path, read_cached, write_cached

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = bytes(range(256)) * 10_000
LONG_AGO = (1, 1)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    path = cached_path(tmp_path / "cache", [tmp_path], ".index")
    assert write_cached(path, lambda file: file.write(CONTENT))
    return path


def whole(file: BinaryIO) -> bytes:
    return file.read()


def test_it_is_read_as_it_was_written_by_its_owner_alone(kept: Path) -> None:
    assert read_cached(kept, whole) == CONTENT
    assert kept.stat().st_mode & 0o777 == 0o600
    assert [*kept.parent.iterdir()] == [kept]


@pytest.mark.parametrize("damage", ["cut", "longer", "one bit", "nonsense", "empty"])
def test_what_is_damaged_is_not_there(kept: Path, damage: str) -> None:
    content = kept.read_bytes()
    middle = len(content) // 2
    damaged = {
        "cut": content[:-1],
        "longer": content + b"x",
        "one bit": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "nonsense": b"[[]]" * 100,
        "empty": b"",
    }
    kept.write_bytes(damaged[damage])
    assert read_cached(kept, whole) is None


@pytest.mark.parametrize("error", [AttributeError, MemoryError, OverflowError, RecursionError])
def test_what_is_whole_but_not_ours_is_not_there(kept: Path, error: type[Exception]) -> None:
    def read(_: BinaryIO) -> None:
        raise error

    assert read_cached(kept, read) is None


def test_what_another_process_removes_while_it_is_read_is_read(kept: Path) -> None:
    def read(file: BinaryIO) -> bytes:
        kept.unlink()
        return file.read()

    assert read_cached(kept, read) == CONTENT


def test_what_was_not_used_for_a_month_is_removed_and_nothing_else(kept: Path) -> None:
    others = [kept.with_name(name) for name in ("old.index", "old.page", "old.tmp", "notes.txt")]
    for path in others:
        path.touch()
        os.utime(path, LONG_AGO)
    assert write_cached(kept, lambda file: file.write(CONTENT))
    assert sorted(kept.parent.iterdir()) == sorted([kept, others[-1]])


def test_what_is_read_counts_as_used(kept: Path) -> None:
    os.utime(kept, LONG_AGO)
    assert read_cached(kept, whole) == CONTENT
    assert kept.stat().st_mtime > 1
