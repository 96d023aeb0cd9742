"""The files of a run directory in parts, as they are on disk."""

from pathlib import Path

import msgspec
import pytest

from lm_eval_so.runner.errors import NewerVersionError, StoreError
from lm_eval_so.runner.store.parts import layout

SHARDS = layout.ShardsFile(
    dataset_sha256="ab",
    stamp=[1, 2],
    recipe="cd",
    repeats=2,
    samples=30,
    shards=(layout.ShardRow(0, 20, "ab", 0, 0, 1), layout.ShardRow(20, 10, "cd")),
)
MARKER = layout.Marker(
    first=20,
    count=10,
    epoch=7,
    bytes=99,
    sha256="ef",
    lines=20,
    ok=19,
    totals=msgspec.Raw(b'{"version":1}'),
)


def joined(results: Path) -> layout.JoinedFile:
    found = results.stat()
    return layout.JoinedFile(
        size=found.st_size,
        modified_ns=found.st_mtime_ns,
        inode=found.st_ino,
        shards=(layout.JoinedRow(0, 20, 99, 40, 39, "gh", owed=1),),
    )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    (tmp_path / layout.PARTS).mkdir()
    (tmp_path / layout.SHARDS).write_bytes(SHARDS.to_json())
    (tmp_path / layout.PARTS / layout.marker_name(20)).write_bytes(MARKER.to_json())
    assert layout.read_shards(tmp_path) == SHARDS
    found = layout.read_marker(tmp_path, 20)
    assert found is not None
    assert msgspec.structs.replace(found, totals=MARKER.totals) == MARKER
    assert bytes(found.totals) == b'{"version":1}'
    assert found.part == "000000000020-000007.jsonl"


def test_where_parts_are_in_the_results_file_is_known_while_it_is_the_one_that_was_joined(
    tmp_path: Path,
) -> None:
    results = tmp_path / "run_results.jsonl"
    results.write_bytes(b"x" * 99)
    (tmp_path / layout.JOINED).write_bytes(joined(results).to_json())
    assert layout.read_joined(tmp_path) == joined(results)

    (tmp_path / "next").write_bytes(b"y" * 99)
    later = joined(tmp_path / "next")
    (tmp_path / layout.JOINED_NEXT).write_bytes(later.to_json())
    assert layout.read_joined(tmp_path) == joined(results), "a kill before the new file came"
    (tmp_path / "next").replace(results)
    assert layout.read_joined(tmp_path) == later, "a kill behind it"

    results.write_bytes(b"z" * 98)
    assert layout.read_joined(tmp_path) is None


def test_a_directory_without_the_files_has_none_of_them(tmp_path: Path) -> None:
    assert layout.find_parts(tmp_path) is None
    assert layout.read_shards(tmp_path) is None
    assert layout.read_joined(tmp_path) is None
    assert layout.read_marker(tmp_path, 0) is None


def test_parts_are_found_by_their_names_and_other_files_are_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / layout.PARTS
    folder.mkdir()
    long = layout.part_name(10**13, 10**7)
    for name in (layout.part_name(0, 12), layout.part_name(0, 3), layout.marker_name(0), long):
        (folder / name).touch()
    for name in ("notes.jsonl", "x-1.jsonl", ".done.json", f"{layout.marker_name(5)}.h-1-2.tmp"):
        (folder / name).touch()
    assert layout.find_parts(tmp_path) == ({0: [3, 12], 10**13: [10**7]}, {0})


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"[1]", b'{"schema_version":1,"shards":[[0]]}', b"\xff", b"[" * 100_000]
)
def test_a_damaged_file_is_named_with_the_way_out(tmp_path: Path, text: bytes) -> None:
    (tmp_path / layout.SHARDS).write_bytes(text)
    with pytest.raises(StoreError, match=r"shards.json is damaged .*; remove it and run"):
        layout.read_shards(tmp_path)


def test_a_newer_release_may_have_written_other_fields(tmp_path: Path) -> None:
    (tmp_path / "run_results.jsonl").touch()
    (tmp_path / layout.JOINED).write_bytes(b'{"schema_version":2,"shards":"elsewhere"}')
    with pytest.raises(NewerVersionError, match=r"joined.json has schema_version 2"):
        layout.read_joined(tmp_path)
