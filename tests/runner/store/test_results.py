from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_so.runner.errors import StoreError
from lm_eval_so.runner.store.results import ResultsFile, read_results


def line(number: int, text: str = "", status: str = "ok") -> bytes:
    fields = {"sample_id": f"s{number}", "request_key": f"k{number}", "status": status}
    return orjson.dumps({**fields, "text": text})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run_results.jsonl"


def scanned(path: Path) -> list[str]:
    """The ids in the file as the next run finds them."""
    file = ResultsFile(path)
    try:
        return [found.sample_id for found in file.scan()]
    finally:
        file.close()


def system_calls() -> int:
    """Calls of write(2) by this thread so far."""
    counters = dict(
        row.split(": ") for row in Path("/proc/thread-self/io").read_text().split("\n")[:-1]
    )
    return int(counters["syscw"])


@pytest.mark.parametrize("size", [0, 100, 10_000, 1_000_000])
def test_a_line_is_written_by_one_system_call_and_is_there_at_once(path: Path, size: int) -> None:
    file = ResultsFile(path)
    expected = b""
    for number in range(3):
        before = system_calls()
        offset = file.append(line(number, "x" * size))
        assert system_calls() - before == 1
        assert offset == len(expected)
        expected += line(number, "x" * size) + b"\n"
        assert path.read_bytes() == expected
    file.close()


def test_lines_are_found_where_append_said(path: Path) -> None:
    file = ResultsFile(path)
    offsets = [file.append(line(number, "가" * number)) for number in range(20)]
    assert [found.offset for found in file.scan()] == offsets
    forwards = list(file.lines_at(offsets))
    assert forwards == [line(number, "가" * number) + b"\n" for number in range(20)]
    backwards = list(file.lines_at(reversed(offsets)))
    assert backwards == [line(number, "가" * number) + b"\n" for number in range(19, -1, -1)]
    file.close()


def test_a_torn_last_line_is_dropped_wherever_it_was_torn(path: Path) -> None:
    whole = line(0) + b"\n" + line(1, "한국어") + b"\n"
    last = line(2, "한국어")
    for cut in range(1, len(last)):
        path.write_bytes(whole + last[:cut])
        assert scanned(path) == ["s0", "s1"]
        assert path.read_bytes() == whole


@pytest.mark.parametrize("length", [65_530, 65_536, 65_537, 200_000])
def test_a_long_torn_line_is_dropped(path: Path, length: int) -> None:
    for before in (b"", line(0) + b"\n"):
        path.write_bytes(before + line(1, "x" * length)[:length])
        ResultsFile(path).close()
        assert path.read_bytes() == before


def test_a_whole_last_line_without_a_newline_is_kept(path: Path) -> None:
    path.write_bytes(line(0) + b"\n" + line(1))
    file = ResultsFile(path)
    offset = file.append(line(2))
    file.close()
    assert path.read_bytes() == b"\n".join([line(0), line(1), line(2), b""])
    assert list(file.lines_at([offset])) == [line(2) + b"\n"]


@pytest.mark.parametrize(
    "tail",
    [b"\0" * 5, b"\0" * 100_000, line(9)[:20] + b"\0" * 500, b"\0\n\0\0", b"\n\n", b"\xff\xfe"],
    ids=["nuls", "many-nuls", "torn-nuls", "nul-lines", "blank-lines", "no-utf8"],
)
def test_the_tail_a_power_cut_leaves_is_passed_over_and_written_behind(
    path: Path, tail: bytes
) -> None:
    path.write_bytes(line(0) + b"\n" + line(1) + b"\n" + tail)
    file = ResultsFile(path)
    offset = file.append(line(2))
    assert [found.sample_id for found in file.scan()] == ["s0", "s1", "s2"]
    assert list(file.lines_at([offset])) == [line(2) + b"\n"]
    file.close()


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"garbage", id="text"),
        pytest.param(line(9)[:30], id="torn"),
        pytest.param(line(8)[:30] + line(9), id="two-mixed"),
        pytest.param(b"\xff\xfe\x00", id="bytes"),
        pytest.param(b"[]", id="array"),
        pytest.param(b"null", id="null"),
        pytest.param(b"7", id="number"),
        pytest.param(b"{}", id="no-keys"),
        pytest.param(b'{"sample_id": "s9", "status": "ok"}', id="no-request-key"),
        pytest.param(b'{"sample_id": [], "request_key": {}, "status": "ok"}', id="wrong-types"),
        pytest.param(b"[" * 5000, id="deep"),
    ],
)
def test_garbage_in_the_middle_is_passed_over(path: Path, garbage: bytes) -> None:
    path.write_bytes(b"\n".join([line(0), garbage, line(1), b""]))
    assert scanned(path) == ["s0", "s1"]


@given(data=st.data())
def test_whatever_stands_in_the_file_whole_lines_are_found(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("results") / "run_results.jsonl"
    noise = st.binary(max_size=30).filter(lambda piece: b"\n" not in piece)
    pieces, ids = [], []
    for number in range(data.draw(st.integers(0, 6))):
        if data.draw(st.booleans()):
            pieces.append(line(number))
            ids.append(f"s{number}")
        else:
            pieces.append(data.draw(noise))
    path.write_bytes(b"".join(piece + b"\n" for piece in pieces) + data.draw(noise))
    assert scanned(path) == ids


APPEND_UNTIL_FULL = """
import resource, sys
from pathlib import Path
from lm_eval_so.runner.errors import StoreError
from lm_eval_so.runner.store.results import ResultsFile

file = ResultsFile(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
for number in range(1000):
    try:
        file.append(b'{"sample_id":"s%d","request_key":"k","status":"ok"}' % number)
    except StoreError as error:
        for _ in range(3):
            try:
                file.append(b"x" * 200)
            except StoreError:
                continue
            raise AssertionError
        print(number, error)
        break
"""


def test_a_full_disk_is_a_store_error_that_leaves_no_part_of_a_line(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", APPEND_UNTIL_FULL, str(path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    number, _, sentence = done.stdout.partition(" ")
    assert sentence.startswith(f"cannot write {path}: File too large")
    kept = path.read_bytes()
    assert kept.endswith(b"}\n")
    assert 9_900 < len(kept) <= 10_000
    assert scanned(path) == [f"s{n}" for n in range(int(number))]


def test_a_sync_that_failed_is_not_taken_for_done(path: Path) -> None:
    file = ResultsFile(path)
    file.append(line(0))
    os.close(file._descriptor)
    for _ in range(2):
        with pytest.raises(StoreError, match="cannot write"):
            file.sync()


@pytest.mark.parametrize(
    ("order", "just"),
    [([0, 1, 2], True), ([1, 0, 2], False), ([0, 1], False), ([1, 2], False), ([], False)],
    ids=str,
)
def test_a_file_is_just_the_lines_only_if_all_stand_in_this_order(
    path: Path, order: list[int], *, just: bool
) -> None:
    file = ResultsFile(path)
    offsets = [file.append(line(number, "x" * number)) for number in range(3)]
    assert file.is_just(iter([offsets[number] for number in order])) is just
    file.close()


def test_an_empty_file_is_just_no_lines(path: Path) -> None:
    file = ResultsFile(path)
    assert file.is_just(iter([]))
    assert list(file.lines_at([])) == []
    file.close()


def test_a_place_that_cannot_be_written_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"/run_results\.jsonl: Not a directory"):
        ResultsFile(tmp_path / "file" / "run_results.jsonl")


def test_reading_results_names_the_file_and_the_line_that_is_none(path: Path) -> None:
    path.write_bytes(line(0) + b"\n")
    with pytest.raises(StoreError, match=r"run_results\.jsonl:1: no RunResult"):
        list(read_results(path))
    with pytest.raises(StoreError, match="cannot be read: No such file"):
        list(read_results(path.with_name("other.jsonl")))
