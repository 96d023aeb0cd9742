"""The lines of a run are the same, whatever they are in."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from lm_eval_so import read_results
from lm_eval_so.runner.errors import NewerVersionError, StoreError
from lm_eval_so.runner.store.parts import layout
from lm_eval_so.runner.store.read import scan_results
from lm_eval_so.runner.store.segments import (
    are_there,
    open_results,
    read_from,
    reopen,
    results_path,
    results_stamp,
    segments,
    stamp_of,
)
from support.parts import RESULTS, into_parts, seal, write_joined, write_part, write_shards
from support.results import result

LINES = [
    result(f"s{number}", text=number * "x", fails=number % 4 == 3).model_dump_json().encode()
    + b"\n"
    for number in range(10)
]
WHOLE = b"".join(LINES)


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    (tmp_path / RESULTS).write_bytes(WHOLE)
    return tmp_path


def content(run_dir: Path) -> bytes:
    with open_results(run_dir) as file:
        return file.read()


def test_of_an_ordinary_directory_it_is_the_file_itself(run_dir: Path) -> None:
    assert segments(run_dir) == [
        (run_dir / RESULTS, 0, len(WHOLE), (run_dir / RESULTS).stat().st_ino, None, None)
    ]
    with open_results(run_dir) as file:
        assert file.name == str(run_dir / RESULTS)
        assert file.fileno() >= 0
        assert stamp_of(file) == results_stamp(run_dir)
    assert results_path(run_dir) == run_dir / RESULTS


def test_a_run_without_lines_has_no_segments(tmp_path: Path) -> None:
    assert segments(tmp_path) == []
    assert results_stamp(tmp_path) is None
    assert list(scan_results(tmp_path)) == []
    with pytest.raises(FileNotFoundError):
        open_results(tmp_path)


@pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "not-sealed"])
@pytest.mark.parametrize("joined", [(), (0,), (1,), (0, 2), (0, 1, 2)])
def test_parts_and_slices_follow_each_other_in_dataset_order(
    run_dir: Path, joined: tuple[int, ...], *, sealed: bool
) -> None:
    into_parts(run_dir, [3, 7], sealed=sealed, joined=joined)
    if len(joined) == 3:
        (run_dir / layout.PARTS).rmdir()  # the end of a join
    assert content(run_dir) == WHOLE
    assert [found.text for found in _answers(run_dir)] == [
        "x" * number for number in range(10) if number % 4 != 3
    ]


def _answers(run_dir: Path) -> list[object]:
    found = [each.response for each in read_results(run_dir)]
    return [response for response in found if response is not None]


@pytest.mark.parametrize("buffering", [16, 1 << 18])
def test_every_place_can_be_read(run_dir: Path, buffering: int) -> None:
    into_parts(run_dir, [1, 2, 5, 9], joined=(1, 3))
    with open_results(run_dir, buffering) as file:
        for start in range(0, len(WHOLE), 97):
            assert file.seek(start) == start
            assert file.read(300) == WHOLE[start : start + 300]
            assert file.tell() == min(start + 300, len(WHOLE))
        assert file.seek(-5, os.SEEK_END) == len(WHOLE) - 5
        assert file.seek(-1, os.SEEK_CUR) == len(WHOLE) - 6
        assert file.read() == WHOLE[-6:]
        assert file.seek(len(WHOLE) + 9) == len(WHOLE) + 9
        assert file.read() == b""
        with pytest.raises(OSError, match="Invalid argument"):
            file.seek(-1)
        file.seek(0)
        assert list(file) == LINES


def test_few_files_are_open_at_once_and_none_afterwards(run_dir: Path) -> None:
    into_parts(run_dir, range(1, 10))
    before = _descriptors()
    with open_results(run_dir, 16) as file:
        assert len(_descriptors()) == len(before)
        for start in (*range(0, len(WHOLE), 50), 0):
            file.seek(start)
            file.read(1)
        file.seek(0)
        assert file.read() == WHOLE
        assert len(_descriptors()) <= len(before) + 8
    assert _descriptors() == before


def _descriptors() -> list[str]:
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("the system does not list them")
    return sorted(path.name for path in Path("/proc/self/fd").iterdir() if path.exists())


def test_the_sealed_part_counts_and_not_a_newer_one_that_is_not_sealed(run_dir: Path) -> None:
    into_parts(run_dir, [5])
    write_part(run_dir, 0, 9, LINES[:2])
    assert content(run_dir) == WHOLE
    seal(run_dir, 0, 5, 9)
    assert content(run_dir) == b"".join(LINES[:2] + LINES[5:])


def test_of_what_is_not_sealed_the_newest_part_with_a_line_counts(run_dir: Path) -> None:
    into_parts(run_dir, [5], sealed=False)
    write_part(run_dir, 5, 11, LINES[5:7])
    assert content(run_dir) == b"".join(LINES[:7])
    write_part(run_dir, 5, 12, [])
    write_part(run_dir, 5, 13, [b'{"to'])
    assert content(run_dir) == b"".join(LINES[:7])


def test_a_line_that_is_torn_does_not_spoil_the_next_part(run_dir: Path) -> None:
    into_parts(run_dir, [5], sealed=False)
    write_part(run_dir, 0, 1, [*LINES[:4], LINES[4][:20]])
    assert content(run_dir) == b"".join(LINES[:4] + LINES[5:])


def test_a_shard_that_was_split_has_its_lines_in_two_parts(run_dir: Path) -> None:
    into_parts(run_dir, [])
    (run_dir / layout.PARTS / layout.marker_name(0)).unlink()
    write_part(run_dir, 0, 1, LINES[:6])
    write_part(run_dir, 6, 2, LINES[6:])
    assert content(run_dir) == WHOLE
    seal(run_dir, 0, 6, 1)
    assert content(run_dir) == WHOLE


def test_of_two_sealed_parts_that_overlap_the_newer_counts_and_nothing_is_lost(
    run_dir: Path,
) -> None:
    into_parts(run_dir, [4])
    write_part(run_dir, 0, 7, LINES)
    seal(run_dir, 0, 10, 7)
    assert content(run_dir) == WHOLE
    write_part(run_dir, 4, 8, LINES[4:8])
    seal(run_dir, 4, 6, 8)
    assert content(run_dir) == b"".join(LINES + LINES[4:8])
    assert [one.lines for one in segments(run_dir)] == [None, 4]


def test_a_part_that_is_shorter_than_its_marker_says_is_not_sealed(run_dir: Path) -> None:
    into_parts(run_dir, [5])
    write_part(run_dir, 0, 1, LINES[:2])
    assert content(run_dir) == b"".join(LINES[:2] + LINES[5:])
    assert [one.lines for one in segments(run_dir)] == [None, 5]
    (run_dir / layout.PARTS / layout.part_name(0, 1)).unlink()
    assert content(run_dir) == b"".join(LINES[5:])


def test_slices_do_not_count_when_the_results_file_is_another_one(run_dir: Path) -> None:
    into_parts(run_dir, [3, 7], joined=(1,))
    with (run_dir / RESULTS).open("ab") as file:
        file.write(LINES[0])
    assert content(run_dir) == b"".join(LINES[:3] + LINES[7:])


def test_a_part_counts_more_than_the_slice_of_its_range(run_dir: Path) -> None:
    into_parts(run_dir, [5], joined=(0,))
    write_joined(run_dir, [(0, LINES[:5]), (5, LINES[5:9])])
    assert content(run_dir) == WHOLE
    write_part(run_dir, 0, 4, LINES[:1])
    assert content(run_dir) == b"".join(LINES[:1] + LINES[5:])


def test_links_are_no_parts(run_dir: Path, tmp_path: Path) -> None:
    into_parts(run_dir, [5])
    (tmp_path / "secret").write_bytes(LINES[0])
    (run_dir / layout.PARTS / layout.part_name(2, 5)).symlink_to(tmp_path / "secret")
    part = run_dir / layout.PARTS / layout.part_name(0, 1)
    part.unlink()
    part.symlink_to(tmp_path / "secret")
    assert content(run_dir) == b"".join(LINES[5:])


def test_the_stamp_changes_with_whatever_changes_the_lines(run_dir: Path) -> None:
    into_parts(run_dir, [5], sealed=False)
    seen = [results_stamp(run_dir)]

    def is_new() -> bool:
        seen.append(results_stamp(run_dir))
        return seen[-1] not in seen[:-1]

    assert seen[0] == results_stamp(run_dir)
    with (run_dir / layout.PARTS / layout.part_name(5, 2)).open("ab") as file:
        file.write(LINES[0])
    assert is_new()
    seal(run_dir, 0, 5, 1)
    assert is_new()
    write_part(run_dir, 5, 3, LINES[5:])
    assert is_new()
    write_joined(run_dir, [(0, LINES)])
    assert is_new()
    shutil.rmtree(run_dir / layout.PARTS)
    assert is_new()


def test_what_is_replaced_while_it_is_read_is_told(run_dir: Path) -> None:
    into_parts(run_dir, [5], sealed=False)
    with open_results(run_dir, 16) as file:
        assert file.readline() == LINES[0]
        (run_dir / "new").write_bytes(b"".join(reversed(LINES[5:])))
        (run_dir / "new").replace(run_dir / layout.PARTS / layout.part_name(5, 2))
        with pytest.raises(OSError, match="the run has replaced it meanwhile; try again"):
            file.read()


def test_what_was_read_is_read_again_at_its_place_while_the_run_goes_on(run_dir: Path) -> None:
    into_parts(run_dir, [5], sealed=False)
    write_part(run_dir, 0, 1, LINES[:2])
    with open_results(run_dir) as file:
        places, lines = read_from(file), file.read()
    with (run_dir / layout.PARTS / layout.part_name(0, 1)).open("ab") as part:
        part.write(LINES[2])
    assert content(run_dir) != lines
    assert are_there(places)
    with reopen(places) as file:
        assert file.read() == lines
    (run_dir / layout.PARTS / layout.part_name(0, 1)).unlink()
    assert not are_there(places)


def test_results_are_read_by_their_file_where_it_is_there(run_dir: Path) -> None:
    whole = list(read_results(run_dir))
    assert list(read_results(run_dir / RESULTS)) == whole
    into_parts(run_dir, [5])
    assert list(read_results(run_dir)) == whole
    with pytest.raises(StoreError, match="the run is in parts; name its directory, ") as told:
        list(read_results(run_dir / RESULTS))
    assert str(told.value).endswith(str(run_dir))


def test_a_line_of_a_part_that_is_no_result_is_told_by_its_number(run_dir: Path) -> None:
    into_parts(run_dir, [5], sealed=False)
    write_part(run_dir, 5, 2, [b"{}\n"])
    with pytest.raises(StoreError, match=r"parts:6: not a RunResult"):
        list(read_results(run_dir))
    assert [line.sample_id for line in scan_results(run_dir)] == [f"s{n}" for n in range(5)]


def test_what_tells_of_the_parts_is_checked(run_dir: Path) -> None:
    into_parts(run_dir, [5])
    (run_dir / layout.PARTS / layout.marker_name(5)).write_bytes(b"{")
    with pytest.raises(StoreError, match=r"000000000005\.done\.json is damaged"):
        list(read_results(run_dir))
    (run_dir / layout.SHARDS).write_bytes(b'{"schema_version":9}')
    with pytest.raises(NewerVersionError):
        list(read_results(run_dir))


def test_a_folder_of_parts_without_lines_changes_nothing(run_dir: Path) -> None:
    write_shards(run_dir, [(0, 10)])
    assert content(run_dir) == WHOLE
    (run_dir / layout.SHARDS).unlink()
    write_part(run_dir, 0, 1, LINES[:1])
    assert content(run_dir) == WHOLE
