"""A dataset is cut into shards, and each is read as if the others were not there."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_eval_so.runner.config.schema import DatasetConfig
from lm_eval_so.runner.dataset.base import Pass, Place, Reader, Record, opened_at, seekable
from lm_eval_so.runner.dataset.check import check
from lm_eval_so.runner.dataset.plain import PlainSample, whole
from lm_eval_so.runner.dataset.reader import read_samples
from lm_eval_so.runner.dataset.shards import Shard, ShardReader, cut, read_shard
from lm_eval_so.runner.dataset.source import locate
from lm_eval_so.runner.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lm_eval_so.runner.models import TestSample

BOM = b"\xef\xbb\xbf"
COUNT = 23
SIZES = [1, 2, 5, 7, 22, 23, 24, 1000]
CHANGED = "has changed since it was checked"

Made = tuple["Path", dict[str, Any]]
"""The path of a dataset, and what its config says."""


def sample(number: int, question: str = "Why") -> dict[str, Any]:
    messages = [{"role": "user", "content": f"{question} {number}? 왜"}]
    return {"id": f"s{number}", "messages": messages, "expected": None if number % 3 else "x"}


def lines(*rows: dict[str, Any], end: bytes = b"\n") -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + end for row in rows)


SAMPLES = [sample(number) for number in range(COUNT)]
ROWS = [{"question": f"Q {n}", "answer": str(n), "note": n} for n in range(COUNT)]
REPEATED = [{"question": f"Q {n % 9}", "answer": "x"} for n in range(COUNT)]
SOME_IDS = [row | ({"id": f"i{n}"} if n % 2 else {}) for n, row in enumerate(ROWS)]
CHATS = [
    {"conversations": [{"from": "human", "value": f"Hi {n}"}, {"from": "gpt", "value": "Yes"}]}
    for n in range(COUNT)
]


def jsonl(folder: Path) -> Made:
    (folder / "d.jsonl").write_bytes(lines(*SAMPLES))
    return folder / "d.jsonl", {}


def untidy(folder: Path) -> Made:
    text = b"\n \r\n" + lines(*SAMPLES, end=b"\r\n").replace(b"\r\n", b"\r\n\r\n\t\n", 7)
    (folder / "d.jsonl").write_bytes(BOM + text.rstrip())
    return folder / "d.jsonl", {}


def joined(folder: Path) -> Made:
    parts = [b"", lines(*SAMPLES[:4]), b"\n\n", b"", lines(*SAMPLES[4:17]).rstrip(), BOM]
    for number, part in enumerate([*parts, BOM + lines(*SAMPLES[17:]), b""]):
        (folder / f"part-{number}.jsonl").write_bytes(part)
    return folder / "part-*.jsonl", {}


def joined_and_packed(folder: Path) -> Made:
    for number in range(3):
        part = lines(*SAMPLES[number * 9 : number * 9 + 9])
        (folder / f"part-{number}.jsonl.gz").write_bytes(gzip.compress(part))
    return folder / "part-*.jsonl.gz", {}


def packed(folder: Path) -> Made:
    (folder / "d.jsonl.gz").write_bytes(gzip.compress(lines(*SAMPLES)))
    return folder / "d.jsonl.gz", {}


def utf_16(folder: Path) -> Made:
    (folder / "d.jsonl").write_bytes(lines(*SAMPLES).decode().encode("utf-16"))
    return folder / "d.jsonl", {"encoding": "utf-16"}


def array(folder: Path) -> Made:
    (folder / "d.json").write_text(json.dumps(SAMPLES, indent=1))
    return folder / "d.json", {}


def table(folder: Path) -> Made:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerows([["question", "answer"], *([f"Line\n{n}, and", n] for n in range(COUNT))])
    (folder / "d.csv").write_text(text.getvalue())
    return folder / "d.csv", {}


def tables(folder: Path) -> Made:
    for part, header in enumerate(["question,answer", "answer,question", "question,id"]):
        rows = "".join(f"Q{n},A{part}\n" for n in range(6) if part < 2)
        (folder / f"d{part}.csv").write_text(f"{header}\n{rows}")
    return folder / "d*.csv", {}


def rows_of_json(rows: list[dict[str, Any]], **config: object) -> Callable[[Path], Made]:
    def write(folder: Path) -> Made:
        (folder / "d.jsonl").write_bytes(b"\n" + lines(*rows))
        return folder / "d.jsonl", config

    return write


def parquet(rows: list[dict[str, Any]], group: int) -> Callable[[Path], Made]:
    def write(folder: Path) -> Made:
        pq.write_table(pa.Table.from_pylist(rows), folder / "d.parquet", row_group_size=group)
        return folder / "d.parquet", {}

    return write


def parquets(folder: Path) -> Made:
    for number, (begin, end) in enumerate([(0, 10), (10, 10), (10, COUNT)]):
        part = pa.Table.from_pylist(ROWS[begin:end], schema=pa.Table.from_pylist(ROWS).schema)
        pq.write_table(part, folder / f"d{number}.parquet", row_group_size=4)
    return folder / "d*.parquet", {}


def with_files(folder: Path) -> Made:
    (folder / "a.png").write_bytes(b"a picture")
    part = {"type": "image_url", "image_url": {"url": "file:a.png"}}
    shown = [
        one | {"messages": [{"role": "user", "content": [part]}]} if n % 5 == 0 else one
        for n, one in enumerate(SAMPLES)
    ]
    (folder / "d.jsonl").write_bytes(lines(*shown))
    return folder / "d.jsonl", {}


SEEKABLE: dict[str, Callable[[Path], Made]] = {
    "jsonl": jsonl,
    "untidy": untidy,
    "joined": joined,
    "joined-packed": joined_and_packed,
    "joined-tables": tables,
    "parquet-1": parquet(ROWS, 1),
    "parquet-5": parquet(ROWS, 5),
    "parquet-22": parquet(ROWS, 22),
    "parquet-whole": parquet(ROWS, COUNT),
    "joined-parquet": parquets,
    "rows": rows_of_json(ROWS),
    "mapped": rows_of_json(ROWS, columns={"input": "answer", "expected": "question"}),
    "some-ids": rows_of_json(SOME_IDS),
    "sharegpt": rows_of_json(CHATS, layout="sharegpt"),
    "files": with_files,
}
OTHERS: dict[str, Callable[[Path], Made]] = {
    "packed": packed,
    "utf-16": utf_16,
    "array": array,
    "table": table,
}
REPEATS: dict[str, Callable[[Path], Made]] = {
    "repeated": rows_of_json(REPEATED),
    "repeated-parquet": parquet(REPEATED, 5),
}


def of(made: Made) -> Reader:
    """A new reader, as another process has one."""
    path, config = made
    return locate(DatasetConfig.model_validate({"path": path, **config})).reader


def cut_all(reader: Reader, size: int) -> list[Shard]:
    checked = check(reader)
    return cut(reader, checked.count, size, checked.sha256)


def samples(reader: Reader, shard: Shard, skip: int = 0, stamp: object = None) -> list[TestSample]:
    return [*map(whole, read_shard(reader, shard, skip, stamp))]


def stamp_of(reader: Reader) -> object:
    with reader.opened() as reading:
        return reading.stamp()


def rewrite(path: Path, data: bytes) -> None:
    """In place, with the time of before."""
    before = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("kind", SEEKABLE | OTHERS | REPEATS)
def test_the_shards_of_every_size_are_the_dataset(tmp_path: Path, kind: str) -> None:
    made = (SEEKABLE | OTHERS | REPEATS)[kind](tmp_path)
    wanted = [*read_samples(of(made))]
    for size in SIZES:
        shards = cut_all(of(made), size)
        assert [shard.first for shard in shards] == [*range(0, len(wanted), size)]
        assert {shard.count for shard in shards[:-1]} <= {size}
        for shard in shards:
            end = shard.first + shard.count
            assert samples(of(made), shard) == wanted[shard.first : end]
            assert samples(of(made), shard, shard.count - 1) == wanted[end - 1 : end]
        assert end == len(wanted)


@pytest.mark.parametrize("kind", SEEKABLE)
def test_a_dataset_that_can_be_sought_is_begun_at_each_shard(tmp_path: Path, kind: str) -> None:
    reader = of(SEEKABLE[kind](tmp_path))
    with reader.opened() as reading:
        wanted = [*reading.records]
    assert seekable(reader)
    for shard in cut_all(reader, 3):
        assert shard.place is not None
        with opened_at(reader, shard.place) as reading:
            assert [*reading.records] == wanted[shard.first :], "with the place of each"


@pytest.mark.parametrize("kind", OTHERS)
def test_one_that_cannot_be_says_so(tmp_path: Path, kind: str) -> None:
    reader = of(OTHERS[kind](tmp_path))
    assert seekable(reader) is None
    assert {shard.place for shard in cut_all(reader, 3)} == {None}
    with pytest.raises(ValueError, match="cannot be read from its middle"):
        opened_at(reader, Place(0, 0, 1))


def test_only_shards_whose_ids_count_what_came_before_are_read_from_the_beginning(
    tmp_path: Path,
) -> None:
    made = rows_of_json([*ROWS[:12], ROWS[2], *ROWS[12:]])(tmp_path)
    shards = cut_all(of(made), 5)
    assert [shard.place is None for shard in shards] == [False, False, True, False, False]
    assert samples(of(made), shards[2])[2].id == f"{samples(of(made), shards[0])[2].id}-2"


def test_a_column_that_a_shard_does_not_have_is_no_error(tmp_path: Path) -> None:
    rows = [{"q": str(n)} | ({"why": "x"} if n == 4 else {}) for n in range(10)]
    made = rows_of_json(rows, columns={"input": "q", "expected": "why"})(tmp_path)
    first, second = cut_all(of(made), 5)
    assert samples(of(made), first)[-1].expected == "x"
    assert [one.expected for one in samples(of(made), second)] == [None] * 5
    assert second.place is not None
    with opened_at(of(made), second.place) as reading:
        assert len([*reading.records]) == 5, "up to the end, where a whole dataset is complained of"


@st.composite
def files(draw: st.DrawFn) -> list[bytes]:
    """Some files of lines, with at least one sample."""
    numbers = iter(range(100))
    blank = st.sampled_from([b"\n", b"\r\n", b" \t\n"])
    line = st.sampled_from([b"\n", b"\r\n", b" \r\n"]).map(lambda end: (None, end))
    pieces = st.lists(st.one_of(blank.map(lambda text: (text, b"")), line), max_size=8)
    made = []
    for drawn in draw(st.lists(pieces, min_size=1, max_size=4)):
        text = draw(st.sampled_from([b"", BOM]))
        for kept, end in drawn:
            text += lines(sample(next(numbers)), end=end) if kept is None else kept
        made.append(text.rstrip() if draw(st.booleans()) else text)
    return [*made, lines(sample(next(numbers)))]


@settings(max_examples=60, deadline=None)
@given(st.one_of(files(), files().map(lambda texts: [b"\n".join(texts)])), st.integers(1, 6))
def test_however_lines_end_a_shard_begins_at_its_line(
    tmp_path_factory: pytest.TempPathFactory, texts: list[bytes], size: int
) -> None:
    folder = tmp_path_factory.mktemp("d")
    for number, text in enumerate(texts):
        (folder / f"{number}.jsonl").write_bytes(text)
    made = folder / "*.jsonl", dict[str, Any]()
    with of(made).opened() as reading:
        wanted = [*reading.records]
    found = []
    for shard in cut(of(made), len(wanted), size):
        with opened_at(of(made), shard.place) as reading:
            found += islice(reading.records, shard.count)
    assert found == wanted


def test_lines_are_hashed_and_not_parsed(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_bytes(lines(sample(0)) + b"{no JSON\n" * 9)
    assert len(cut(of((path, {})), 10, 3)) == 4


def test_plain_samples_stay_lazy(tmp_path: Path) -> None:
    made = jsonl(tmp_path)
    assert all(
        isinstance(one, PlainSample) for one in read_shard(of(made), cut_all(of(made), 9)[1])
    )


def test_of_lines_only_the_first_and_those_of_the_shard_are_read(tmp_path: Path) -> None:
    made = jsonl(tmp_path)
    wanted = [*read_samples(of(made))]
    shard = cut_all(of(made), 5)[2]
    found = made[0].read_bytes().splitlines(keepends=True)
    lost = [b"\xff" * len(line) for line in found]
    made[0].write_bytes(b"".join([found[0], *lost[1:10], *found[10:15], *lost[15:]]))
    assert samples(of(made), shard) == wanted[10:15]


def test_of_files_only_the_first_and_those_of_the_shard_are_read(tmp_path: Path) -> None:
    made = joined_and_packed(tmp_path)
    wanted = [*read_samples(of(made))]
    shard = cut_all(of(made), 10)[2]
    (tmp_path / "part-1.jsonl.gz").write_bytes(b"no gzip file")
    assert samples(of(made), shard) == wanted[20:]


def test_of_row_groups_only_the_first_and_those_of_the_shard_are_read(tmp_path: Path) -> None:
    made = parquet([{"question": f"Q {n}"} for n in range(1500)], 300)(tmp_path)
    wanted = [*read_samples(of(made))]
    shard = cut_all(of(made), 350)[2]  # rows 701 to 1050, in the groups 2 and 3
    groups = pq.ParquetFile(made[0]).metadata
    begins = [groups.row_group(n).column(0).dictionary_page_offset for n in range(5)]
    data = bytearray(made[0].read_bytes())
    for begin, end in [(begins[1], begins[2]), (begins[4], len(data) - 2000)]:
        data[begin:end] = b"\xff" * (end - begin)
    made[0].write_bytes(data)
    assert samples(of(made), shard) == wanted[700:1050]


@pytest.mark.parametrize("kind", ["jsonl", "joined", "packed"])
def test_a_count_or_digest_that_is_not_that_of_the_check_is_refused(
    tmp_path: Path, kind: str
) -> None:
    reader = of((SEEKABLE | OTHERS)[kind](tmp_path))
    for count, sha256 in [(COUNT - 1, None), (COUNT + 1, None), (COUNT + 9, None), (COUNT, "0")]:
        with pytest.raises(DatasetError, match=CHANGED):
            cut(reader, count, 4, sha256)


EDITS = [
    pytest.param(lambda data: data.replace(b"Why 12", b"How 12"), id="edited"),
    pytest.param(lambda data: data.replace(b"Why", b"Wherefore"), id="moved"),
    pytest.param(lambda data: data[:900], id="torn"),
    pytest.param(lambda _: b"", id="empty"),
    pytest.param(lambda data: data.partition(b"\n")[2], id="one-less"),
]


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("kind", ["jsonl", "packed"])
def test_a_shard_that_has_changed_since_it_was_cut_is_not_asked(
    tmp_path: Path, kind: str, edit: Callable[[bytes], bytes]
) -> None:
    made = (SEEKABLE | OTHERS)[kind](tmp_path)
    shard = cut_all(of(made), 10)[1]
    stamp = stamp_of(of(made))
    is_packed = kind == "packed"
    data = edit(lines(*SAMPLES))
    made[0].write_bytes(gzip.compress(data) if is_packed else data)
    for known in (None, stamp):
        with pytest.raises(DatasetError, match=CHANGED):
            next(read_shard(of(made), shard, stamp=known))


@pytest.mark.parametrize("kind", ["parquet-5", "joined-parquet", "joined"])
def test_a_place_that_is_no_longer_there_is_a_change(tmp_path: Path, kind: str) -> None:
    made = SEEKABLE[kind](tmp_path)
    shard = cut_all(of(made), 4)[-1]
    if kind == "parquet-5":
        parquet(ROWS[:7], 5)(tmp_path)
    else:
        for path in sorted(tmp_path.iterdir())[2:]:
            path.unlink()
    with pytest.raises(DatasetError, match=CHANGED):
        samples(of(made), shard)


def test_a_change_that_no_size_or_time_tells_is_found_at_the_end_of_the_shard(
    tmp_path: Path,
) -> None:
    made = jsonl(tmp_path)
    first, second, _ = cut_all(of(made), 10)
    stamp = stamp_of(of(made))
    rewrite(made[0], lines(*SAMPLES).replace(b"Why 12", b"How 12"))
    assert len(samples(of(made), first, 0, stamp)) == 10, "another shard is as it was"
    found: list[object] = []
    with pytest.raises(DatasetError, match=CHANGED):
        found.extend(read_shard(of(made), second, stamp=stamp))
    assert len(found) == 10
    with pytest.raises(DatasetError, match=CHANGED):
        samples(of(made), second, 9, stamp)
    with pytest.raises(DatasetError, match=CHANGED):
        next(read_shard(of(made), second))


def test_a_change_while_a_shard_is_read_stops_it(tmp_path: Path) -> None:
    made = jsonl(tmp_path)
    (shard,) = cut_all(of(made), COUNT)
    reading = read_shard(of(made), shard)
    assert len([*islice(reading, 10)]) == 10
    made[0].write_bytes(lines(*(sample(n, "How") for n in range(COUNT))))
    found: list[object] = []
    with pytest.raises(DatasetError, match=CHANGED):
        found.extend(reading)
    assert len(found) == 6, "the stamp is looked at every 16 samples"


def test_the_same_content_at_another_time_is_the_same_shard(tmp_path: Path) -> None:
    made = jsonl(tmp_path)
    shard = cut_all(of(made), 10)[1]
    stamp = stamp_of(of(made))
    os.utime(made[0], ns=(1, 1))
    assert len(samples(of(made), shard, 0, stamp)) == 10


@pytest.mark.parametrize("kind", ["jsonl", "untidy", "joined"])
def test_an_error_in_the_middle_names_file_and_line(tmp_path: Path, kind: str) -> None:
    made = SEEKABLE[kind](tmp_path)
    shard = cut_all(of(made), 5)[2]
    stamp = stamp_of(of(made))
    (path,) = [one for one in tmp_path.iterdir() if b'"s12"' in one.read_bytes()]
    found = path.read_bytes().splitlines(keepends=True)
    (number,) = [n for n, line in enumerate(found, start=1) if b'"s12"' in line]
    found[number - 1] = found[number - 1].replace(b'{"id"', b'["id"')
    rewrite(path, b"".join(found))
    with pytest.raises(DatasetError, match=rf"{path.name}:{number}: not valid JSON"):
        samples(of(made), shard, 0, stamp)


def test_an_error_of_a_file_that_a_sample_names_is_told_in_the_middle_too(tmp_path: Path) -> None:
    made = with_files(tmp_path)
    shard = cut_all(of(made), 4)[2]  # samples 8 to 11; 10 shows a picture
    stamp = stamp_of(of(made))
    (tmp_path / "a.png").unlink()
    with pytest.raises(DatasetError, match=r"d\.jsonl:11: file 'a\.png' does not exist"):
        samples(of(made), shard, 0, stamp)


class Counted:
    """Another reader, and how many records of it were read."""

    def __init__(self, reader: Reader) -> None:
        self._reader, self.name, self.read = reader, reader.name, 0

    @contextmanager
    def opened(self) -> Iterator[Pass]:
        with self._reader.opened() as reading:
            yield reading._replace(records=self._records(reading))

    def _records(self, reading: Pass) -> Iterator[Record]:
        for record in reading.records:
            self.read += 1
            yield record


@pytest.mark.parametrize("kind", SEEKABLE | OTHERS | REPEATS)
def test_one_reader_reads_any_shards_in_any_order(tmp_path: Path, kind: str) -> None:
    made = (SEEKABLE | OTHERS | REPEATS)[kind](tmp_path)
    wanted = [*read_samples(of(made))]
    shards = cut_all(of(made), 4)
    with ShardReader(of(made)) as reader:
        for shard in [*shards, *shards[::-1], *shards[::2], *shards[1::2]]:
            end = shard.first + shard.count
            assert [*map(whole, reader.read(shard))] == wanted[shard.first : end]


def test_what_cannot_be_sought_is_read_once_for_shards_that_rise(tmp_path: Path) -> None:
    made = packed(tmp_path)
    shards = cut_all(of(made), 4)
    counted = Counted(of(made))
    with ShardReader(counted, stamp_of(counted)) as reader:
        assert [one.id for shard in shards[::2] for one in reader.read(shard, 3)] == [
            *("s3", "s11", "s19")
        ]
    assert counted.read == 20, "up to the end of the last shard"


def test_of_a_stamp_that_is_not_known_the_first_shard_alone_is_read_twice(tmp_path: Path) -> None:
    made = packed(tmp_path)
    shards = cut_all(of(made), 4)
    counted = Counted(of(made))
    with ShardReader(counted) as reader:
        for shard in shards:
            assert len([*reader.read(shard)]) == shard.count
    assert counted.read == COUNT + 4


def test_two_shards_can_be_read_at_once(tmp_path: Path) -> None:
    made = packed(tmp_path)
    wanted = [*read_samples(of(made))]
    shards = cut_all(of(made), 6)
    with ShardReader(of(made), stamp_of(of(made))) as reader:
        found = [*zip(reader.read(shards[0]), reader.read(shards[1]), strict=True)]
        last = [*reader.read(shards[2])]
    assert [whole(one) for pair in zip(*found, strict=True) for one in pair] == wanted[:12]
    assert [whole(one) for one in last] == wanted[12:18]


def test_a_shard_that_is_read_in_part_leaves_the_next_as_it_is(tmp_path: Path) -> None:
    made = packed(tmp_path)
    wanted = [*read_samples(of(made))]
    shards = cut_all(of(made), 6)
    with ShardReader(of(made), stamp_of(of(made))) as reader:
        assert len([*islice(reader.read(shards[0]), 2)]) == 2
        assert [*map(whole, reader.read(shards[1]))] == wanted[6:12]


def test_a_packed_file_that_is_torn_is_a_sentence_where_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl.gz"
    path.write_bytes(gzip.compress(lines(*map(sample, range(1000)))))
    first, last = cut_all(of((path, {})), 500)
    path.write_bytes(path.read_bytes()[:-9])
    with ShardReader(of((path, {}))) as reader:
        assert len([*reader.read(first)]) == 500, "more than the buffer of a file"
        with pytest.raises(DatasetError, match=r"d\.jsonl\.gz cannot be read"):
            [*reader.read(last)]
