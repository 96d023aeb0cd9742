from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_so.runner.errors import LostLinesError, StoreError
from lm_eval_so.runner.models import RunResult
from lm_eval_so.runner.store.read import read_results
from lm_eval_so.runner.store.results import ResultsFile
from lm_eval_so.runner.store.stored_line import LinePlace, mark_of
from support.results import result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def opened(path: Path) -> ResultsFile:
    file = ResultsFile(path)
    file.mend()
    return file


def line(number: int, text: str = "") -> bytes:
    made = result(f"s{number}", text=text).model_copy(update={"request_key": f"k{number}"})
    return made.model_dump_json().encode()


def places(offsets: Iterable[int]) -> list[LinePlace]:
    """Where `line` 0, 1, 2 ... were written."""
    return [LinePlace(at, mark_of(f"s{n}", f"k{n}")) for n, at in enumerate(offsets)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run_results.jsonl"


def scanned(path: Path) -> list[str]:
    """The ids in the file as the next run finds them."""
    file = opened(path)
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
    file = opened(path)
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
    file = opened(path)
    expected = [line(number, "가" * number) for number in range(20)]
    written = places(map(file.append, expected))
    assert [found.offset for found in file.scan()] == [place.offset for place in written]
    forwards = list(file.lines_at(written))
    assert [text for text, _ in forwards] == [text + b"\n" for text in expected]
    assert [fields["sample_id"] for _, fields in forwards] == [f"s{n}" for n in range(20)]
    assert list(file.lines_at(reversed(written))) == forwards[::-1]
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
        opened(path).close()
        assert path.read_bytes() == before


def test_a_whole_last_line_without_a_newline_is_kept(path: Path) -> None:
    path.write_bytes(line(0) + b"\n" + line(1))
    file = opened(path)
    offset = file.append(line(2))
    assert path.read_bytes() == b"\n".join([line(0), line(1), line(2), b""])
    assert file.line_at(offset) == line(2) + b"\n"
    file.close()


@pytest.mark.parametrize(
    "tail",
    [b"\0" * 5, b"\0" * 100_000, line(9)[:20] + b"\0" * 500, b"\0\n\0\0", b"\n\n", b"\xff\xfe"],
    ids=["nuls", "many-nuls", "torn-nuls", "nul-lines", "blank-lines", "no-utf8"],
)
def test_the_tail_a_power_cut_leaves_is_passed_over_and_written_behind(
    path: Path, tail: bytes
) -> None:
    path.write_bytes(line(0) + b"\n" + line(1) + b"\n" + tail)
    file = opened(path)
    offset = file.append(line(2))
    assert [found.sample_id for found in file.scan()] == ["s0", "s1", "s2"]
    assert file.line_at(offset) == line(2) + b"\n"
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
from lm_eval_so.runner.store.read import read_results
from lm_eval_so.runner.store.results import ResultsFile

line = sys.argv[2].encode()
file = ResultsFile(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
for number in range(1000):
    try:
        file.append(line.replace(b'"s0"', b'"s%d"' % number))
    except StoreError as error:
        for _ in range(3):
            try:
                file.append(b"x" * 1000)
            except StoreError:
                continue
            raise AssertionError
        print(number, error)
        break
"""


def test_a_full_disk_is_a_store_error_that_leaves_no_part_of_a_line(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", APPEND_UNTIL_FULL, str(path), line(0)],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    number, _, sentence = done.stdout.partition(" ")
    assert sentence.startswith(f"cannot write {path}: File too large")
    kept = path.read_bytes()
    assert kept.endswith(b"}\n")
    assert 9_000 < len(kept) <= 10_000
    assert scanned(path) == [f"s{n}" for n in range(int(number))]


def test_a_sync_that_failed_is_not_taken_for_done(path: Path) -> None:
    file = opened(path)
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
    file = opened(path)
    written = places(file.append(line(number, "x" * number)) for number in range(3))
    assert file.is_just(iter([written[number] for number in order])) is just
    file.close()


def test_an_empty_file_is_just_no_lines(path: Path) -> None:
    file = opened(path)
    assert file.is_just(iter([]))
    assert list(file.lines_at([])) == []
    file.close()


def test_a_place_that_cannot_be_written_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"/run_results\.jsonl: Not a directory"):
        ResultsFile(tmp_path / "file" / "run_results.jsonl")


def test_reading_results_names_the_file_and_the_line_that_is_none(path: Path) -> None:
    path.write_bytes(b"{}\n")
    with pytest.raises(StoreError, match=r"run_results\.jsonl:1: not a RunResult"):
        list(read_results(path))
    with pytest.raises(StoreError, match="cannot be read: No such file"):
        list(read_results(path.with_name("other.jsonl")))


def without(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda fields: fields.pop(name)


def put(**changed: object) -> Callable[[dict[str, Any]], object]:
    return lambda fields: fields.update(changed)


@pytest.mark.parametrize(
    "spoil",
    [
        *(
            pytest.param(without(name), id=f"no-{name}")
            for name, field in RunResult.model_fields.items()
            if field.is_required()
        ),
        pytest.param(put(response=None), id="neither-response-nor-error"),
        pytest.param(put(error={"error_type": "E", "message": "m", "retryable": True}), id="both"),
        pytest.param(put(status="error"), id="an-error-with-a-response"),
        pytest.param(put(status="fine"), id="no-such-status"),
        pytest.param(put(attempts="3"), id="a-number-as-text"),
        pytest.param(put(response=7), id="response-of-another-type"),
        pytest.param(put(response={}), id="response-without-a-text"),
        pytest.param(put(response={"text": "x", "tokens": 7}), id="tokens-of-another-type"),
        pytest.param(put(attempt_log=[{}]), id="an-attempt-without-fields"),
        pytest.param(put(request_context=None), id="no-context"),
    ],
)
def test_a_line_that_lacks_something_is_damage(
    path: Path, spoil: Callable[[dict[str, Any]], object]
) -> None:
    fields = orjson.loads(line(1))
    spoil(fields)
    path.write_bytes(b"\n".join([line(0), orjson.dumps(fields), line(2), b""]))
    assert scanned(path) == ["s0", "s2"]


@pytest.mark.parametrize(
    "text", ["", "한국어\u2028\0", '{"a": "\\n"}'], ids=["empty", "odd", "json"]
)
def test_a_line_of_an_earlier_version_is_whole(path: Path, text: str) -> None:
    fields = orjson.loads(line(0, text))
    for name in ("schema_version", "repeat"):  # these were not always there
        del fields[name]
    path.write_bytes(orjson.dumps(fields) + b"\n")
    assert scanned(path) == ["s0"]


def spoilt(path: Path, how: Callable[[bytes], bytes]) -> None:
    """Changes the file under who has it open."""
    changed = how(path.read_bytes())
    with path.open("r+b") as file:
        file.truncate(0)
        file.write(changed)


@pytest.mark.parametrize(
    "how",
    [
        pytest.param(lambda data: data[:-100], id="cut"),
        pytest.param(lambda data: data[:-1], id="without-the-last-newline"),
        pytest.param(lambda _: b"", id="emptied"),
        pytest.param(lambda data: data[:-100] + b"\0" * 100, id="nuls-for-the-end"),
        pytest.param(lambda data: b"\0" * 5000 + data[5000:], id="nuls-for-the-start"),
        pytest.param(lambda data: data[1:], id="moved"),
        pytest.param(lambda data: data.replace(b'"s2"', b'"s3"'), id="another-sample"),
        pytest.param(lambda data: data.replace(b'"response":{', b'"respons_":{'), id="no-response"),
        pytest.param(lambda data: data.replace(b'"k2"', b'"k3"'), id="another-question"),
    ],
)
def test_a_line_that_is_not_where_it_was_written_is_lost(
    path: Path, how: Callable[[bytes], bytes]
) -> None:
    file = opened(path)
    written = places(file.append(line(number, "x" * 1000)) for number in range(5))
    spoilt(path, how)
    with pytest.raises(LostLinesError, match=r"run_results\.jsonl has lost results"):
        list(file.lines_at(written))
    file.close()


@pytest.mark.parametrize("cut", [0, 1, 100, 700, 1200])
def test_what_follows_a_cut_is_whole(path: Path, cut: int) -> None:
    file = opened(path)
    for number in range(3):
        file.append(line(number))
    os.truncate(path, cut)
    before = [found.sample_id for found in file.scan()]
    offset = file.append(line(7))
    file.append(line(8))
    assert file.line_at(offset) == line(7) + b"\n"
    assert [found.sample_id for found in file.scan()] == [*before, "s7", "s8"]
    file.close()


@pytest.mark.parametrize("away", [Path.unlink, lambda path: path.rename(f"{path}.other")])
def test_a_file_whose_name_is_gone_is_read_all_the_same(
    path: Path, away: Callable[[Path], object]
) -> None:
    file = opened(path)
    written = places(file.append(line(number)) for number in range(3))
    away(path)
    written += places([0, 0, 0, file.append(line(3))])[3:]
    assert [fields["sample_id"] for _, fields in file.lines_at(written)] == [
        f"s{n}" for n in range(4)
    ]
    assert not file.is_just(written)
    file.close()
