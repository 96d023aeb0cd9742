"""The same rows are the same samples, whatever the format, the compression and the encoding."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import REPOSITORY
from lm_eval_so.runner.config.schema import DatasetConfig
from lm_eval_so.runner.dataset.check import check
from lm_eval_so.runner.dataset.source import locate
from lm_eval_so.runner.errors import DatasetError
from support.datasets import questions_of, samples_of
from support.workbook import Sheet, write_workbook

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from lm_eval_so.runner.models import TestSample

HEADER = ["id", "question", "answer", "system", "tags", "region"]
ROWS = [
    ["r1", '환불은 "언제" 되나요?\n급해요, 오늘', "3일", "짧게.", "환불, 급함", "서울"],
    ["r2", "Where is it?", "On its way", None, "delivery", None],
    ["r3", "2 + 2", "4", None, None, "부산"],
]
DICTS = [dict(zip(HEADER, row, strict=True)) for row in ROWS]
GOLDEN = [
    {
        "id": "r1",
        "messages": [
            {"role": "system", "content": "짧게."},
            {"role": "user", "content": '환불은 "언제" 되나요?\n급해요, 오늘'},
        ],
        "expected": "3일",
        "tags": ["환불", "급함"],
        "metadata": {"region": "서울"},
    },
    {
        "id": "r2",
        "messages": [{"role": "user", "content": "Where is it?"}],
        "expected": "On its way",
        "tags": ["delivery"],
        "metadata": {},
    },
    {
        "id": "r3",
        "messages": [{"role": "user", "content": "2 + 2"}],
        "expected": "4",
        "tags": [],
        "metadata": {"region": "부산"},
    },
]


def text(delimiter: str = ",", rows: list[list[str | None]] = ROWS) -> str:
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter).writerows([HEADER, *rows])
    return written.getvalue()


def lines(rows: list[dict[str, Any]] = DICTS) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def parquet(path: Path, rows: list[dict[str, Any]] = DICTS, **how: int) -> None:
    pq.write_table(pa.Table.from_pylist(rows), path, **how)


WRITERS: dict[str, Callable[[Path], object]] = {
    "d.csv": lambda path: path.write_text(text()),
    "d.csv.gz": lambda path: path.write_bytes(gzip.compress(text().encode())),
    "d.tsv": lambda path: path.write_text(text("\t")),
    "d.xlsx": lambda path: write_workbook(path, Sheet([HEADER, *ROWS])),
    "d.parquet": parquet,
    "d.json": lambda path: path.write_text(json.dumps(DICTS, indent=1, ensure_ascii=False)),
    "d.json.gz": lambda path: path.write_bytes(gzip.compress(json.dumps(DICTS).encode())),
    "d.jsonl": lambda path: path.write_text(lines()),
    "d.jsonl.gz": lambda path: path.write_bytes(gzip.compress(lines().encode())),
    "d.ndjson": lambda path: path.write_text(lines()),
}


def plain(samples: list[TestSample]) -> list[dict[str, Any]]:
    return [sample.model_dump(include=set(GOLDEN[0])) for sample in samples]


@pytest.mark.parametrize("name", WRITERS)
def test_the_same_rows_are_the_same_samples_in_every_format(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name)
    assert plain(samples_of(tmp_path / name)) == GOLDEN


@pytest.mark.parametrize("name", WRITERS)
def test_the_same_rows_without_ids_have_the_same_ids_in_every_format(
    tmp_path: Path, name: str
) -> None:
    WRITERS[name](tmp_path / name)
    found = [sample.id for sample in samples_of(tmp_path / name, columns={"id": ""})]
    assert [len(each) for each in found] == [16, 16, 16]
    (tmp_path / "golden.jsonl").write_text(lines())
    assert found == [s.id for s in samples_of(tmp_path / "golden.jsonl", columns={"id": ""})]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("name", ["d.csv", "d.jsonl", "d.json"])
def test_an_encoding_that_is_named_is_read(tmp_path: Path, name: str, encoding: str) -> None:
    content = {"d.csv": text(), "d.jsonl": lines(), "d.json": json.dumps(DICTS)}[name]
    (tmp_path / name).write_bytes(content.encode(encoding))
    assert plain(samples_of(tmp_path / name, encoding=encoding)) == GOLDEN


@pytest.mark.parametrize("encoding", ["cp949", "utf-16"])
@pytest.mark.parametrize("name", ["d.csv", "d.jsonl", "d.json"])
def test_an_encoding_that_is_not_named_is_guessed_aloud(
    tmp_path: Path, name: str, encoding: str
) -> None:
    content = {"d.csv": text(), "d.jsonl": lines()}.get(name, json.dumps(DICTS, ensure_ascii=False))
    (tmp_path / name).write_bytes(content.encode(encoding))
    with pytest.raises(DatasetError, match=rf"{name}:\d: not UTF-8 .*dataset.encoding={encoding}"):
        samples_of(tmp_path / name)


def test_a_byte_order_mark_may_begin_each_of_several_files(tmp_path: Path) -> None:
    for name, row in zip("ab", ROWS, strict=False):
        (tmp_path / f"{name}.csv").write_text(text(rows=[row]), encoding="utf-8-sig")
    assert [sample.id for sample in samples_of(tmp_path)] == ["r1", "r2"]


@pytest.mark.parametrize("given", ["d", "d/*.csv", "d/**/*.csv"])
def test_files_of_one_format_are_one_dataset_in_name_order(tmp_path: Path, given: str) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    for name, row in zip(("part-2", "part-1", "part-10"), ROWS, strict=True):
        (folder / f"{name}.csv").write_text(text(rows=[row]))
    (folder / "metadata.json").write_text('{"version": 3}')
    (folder / "~$part-1.csv").write_text("a lock of Excel")
    source = locate(DatasetConfig(path=tmp_path / given))
    assert (source.id, source.version) == ("d", "3")
    assert [sample.id for sample in samples_of(tmp_path / given)] == ["r2", "r3", "r1"]


def test_several_files_are_the_same_dataset_as_one(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text(text())
    (tmp_path / "d").mkdir()
    for number, row in enumerate(ROWS):
        (tmp_path / "d" / f"{number}.csv").write_text(text(rows=[row]))
    assert check(locate(DatasetConfig(path=tmp_path / "d")).reader) == check(
        locate(DatasetConfig(path=tmp_path / "one.csv")).reader
    )


@pytest.mark.parametrize("number", [0, 2])
def test_the_stamp_covers_each_of_several_files(tmp_path: Path, number: int) -> None:
    for at, row in enumerate(ROWS):
        (tmp_path / f"{at}.csv").write_text(text(rows=[row]))
    with locate(DatasetConfig(path=tmp_path)).reader.opened() as reading:
        before = reading.stamp()
        assert reading.stamp() == before
        (tmp_path / f"{number}.csv").write_text("other")
        assert reading.stamp() != before


def test_duplicates_across_files_name_both_places(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text("id,question\nx,y\n")
    with pytest.raises(DatasetError) as raised:
        samples_of(tmp_path)
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    assert str(raised.value) == f"{second}:2: duplicate id 'x', first at {first}:2"


def test_a_directory_of_several_formats_says_what_to_type(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv", "c.tsv"):
        (tmp_path / name).touch()
    with pytest.raises(DatasetError, match=r"several formats \(2 \.csv, 1 \.tsv\).*/\*\.csv'"):
        samples_of(tmp_path)


def test_a_glob_that_finds_nothing_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"\*\.csv holds no files of a known format"):
        samples_of(tmp_path / "*.csv")


def test_a_name_with_the_signs_of_a_glob_is_a_name_if_there_is_such_a_file(tmp_path: Path) -> None:
    (tmp_path / "a[1].csv").write_text(text())
    assert locate(DatasetConfig(path=tmp_path / "a[1].csv")).id == "a[1]"


def test_parquet_is_read_across_its_row_groups(tmp_path: Path) -> None:
    rows = [{"id": n, "question": f"q{n}"} for n in range(1000)]
    parquet(tmp_path / "d.parquet", rows, row_group_size=7)
    assert [sample.id for sample in samples_of(tmp_path / "d.parquet")] == list(
        map(str, range(1000))
    )


def test_lists_and_objects_of_parquet_are_conversations_and_tags(tmp_path: Path) -> None:
    row = {
        "id": "a",
        "messages": [
            {"role": "user", "content": "x", "name": None},
            {"role": "assistant", "content": "y", "name": "Kim"},
        ],
        "tags": ["t1", "t2"],
        "metadata": {"level": 3},
    }
    parquet(tmp_path / "d.parquet", [row])
    (sample,) = samples_of(tmp_path / "d.parquet")
    assert sample.messages == [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": "y", "name": "Kim"},
    ]
    assert (sample.tags, sample.metadata) == (["t1", "t2"], {"level": 3})


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('[{"question": "a"} {"question": "b"}]', "d.json:1: not valid JSON: expected ',', found"),
        ('[\n{"question": "a"},\n]', "d.json:3: not valid JSON"),
        ('[\n{"question": "a"}', "found the end of the file"),
        ('[{"question": "a"}]\nx', "d.json:2: 'x' follows the end of the array"),
        ("[]", "has no samples"),
        ("", "has no samples"),
        ('{\n "question": "a"\n}', "one JSON object over many lines"),
        ('[\n{"question": ""}]', "d.json:2: column `question` is empty"),
    ],
)
def test_a_json_file_that_is_no_array_of_rows_is_told(
    tmp_path: Path, content: str, sentence: str
) -> None:
    (tmp_path / "d.json").write_text(content)
    with pytest.raises(DatasetError) as raised:
        samples_of(tmp_path / "d.json")
    assert sentence in str(raised.value)


def test_json_lines_that_are_named_json_are_lines(tmp_path: Path) -> None:
    (tmp_path / "d.json").write_text(lines())
    assert plain(samples_of(tmp_path / "d.json")) == GOLDEN


def test_elements_of_an_array_are_read_whatever_their_length(tmp_path: Path) -> None:
    wanted = ["x" * 200_000, "가" * 70_000, "y"]
    (tmp_path / "d.json").write_text(
        json.dumps([{"question": one} for one in wanted], ensure_ascii=False)
    )
    assert questions_of(tmp_path / "d.json") == wanted


WITHOUT = """
import sys
sys.modules["{module}"] = None
from support.datasets import samples_of
from lm_eval_so.runner.errors import DatasetError
try:
    samples_of("{path}")
except DatasetError as error:
    print(error)
"""


def in_a_child(code: str, *folders: Path, arguments: Sequence[str] = ()) -> str:
    path = os.pathsep.join(map(str, [*folders, REPOSITORY, REPOSITORY / "tests"]))
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [
        ("d.xlsx", "python_calamine", "excel"),
        ("d.parquet", "pyarrow.parquet", "parquet"),
        ("d.csv.zst", "zstandard" if sys.version_info < (3, 14) else "compression.zstd", "zstd"),
        ("hf:org/name", "datasets", "hf"),
    ],
)
def test_a_library_that_is_missing_is_one_sentence_with_the_command(
    tmp_path: Path, name: str, module: str, extra: str
) -> None:
    path = name if name.startswith("hf:") else str(tmp_path / name)
    if path != name:
        (tmp_path / name).write_bytes(b"x")
    told = in_a_child(WITHOUT.format(module=module, path=path))
    assert f"needs the extra {extra}: pip install 'lm-eval-so[{extra}]'" in told
    assert told.count("\n") == 1


HUB = """
class Rows(list):
    _fingerprint = "f1"

class Splits(dict):
    pass

ROWS = [{"question": "Why?", "answer": "So."}, {"question": "How?", "answer": None}]

def load_dataset(path, name=None, *, split=None, revision=None):
    if path != "org/name":
        raise FileNotFoundError(f"Couldn't find any data at {path}.\\nMore words.")
    if split == "first" or name == "main":
        return Rows(ROWS[:1])
    if revision == "train-only":
        return Splits(train=Rows(ROWS))
    if revision == "no-test":
        return Splits(train=Rows(), dev=Rows())
    return Splits(train=Rows(), test=Rows(ROWS))
"""
READ = """
import sys
from lm_eval_so.runner.config.schema import DatasetConfig
from lm_eval_so.runner.dataset.source import locate
from lm_eval_so.runner.errors import DatasetError
from support.datasets import samples_of
path, *named = sys.argv[1:]
config = {"path": path, **dict(pair.split("=") for pair in named)}
try:
    source = locate(DatasetConfig.model_validate(config))
    print(source.id, source.location)
    for sample in samples_of(**config):
        print(sample.messages[-1]["content"], sample.expected)
except DatasetError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["hf:org/name"], "hf:org/name hf:org/name\nWhy? So.\nHow? None\n"),
        (["hf:org/name", "split=first"], "hf:org/name hf:org/name?split=first\nWhy? So.\n"),
        (["hf:org/name", "config=main"], "hf:org/name hf:org/name?config=main\nWhy? So.\n"),
        (
            ["hf:org/name", "revision=train-only"],
            "hf:org/name hf:org/name?revision=train-only\nWhy? So.\nHow? None\n",
        ),
        (
            ["hf:org/name", "revision=no-test"],
            (
                "hf:org/name hf:org/name?revision=no-test\ndataset hf:org/name has no split 'test' "
                "(its splits: train, dev); type dataset.split=train\n"
            ),
        ),
        (
            ["hf:no/where"],
            (
                "hf:no/where hf:no/where\ndataset hf:no/where cannot be loaded: "
                "Couldn't find any data at no/where.\n"
            ),
        ),
    ],
)
def test_a_split_of_a_hub_is_read_with_its_library(
    tmp_path: Path, arguments: list[str], told: str
) -> None:
    (tmp_path / "datasets.py").write_text(HUB)
    assert in_a_child(READ, tmp_path, arguments=arguments) == told


ZSTD = """
import io, zlib

class ZstdError(Exception):
    pass

class _Stream:
    def __init__(self, source):
        self._source = source
        self._data = None

    def read(self, size=-1):
        if self._data is None:
            try:
                self._data = io.BytesIO(zlib.decompress(self._source.read()))
            except zlib.error as error:
                raise ZstdError(str(error)) from error
        return self._data.read(size)

class ZstdDecompressor:
    def stream_reader(self, source, *, read_across_frames=False):
        assert read_across_frames
        return _Stream(source)
"""


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="Python reads zstd itself")
def test_a_file_with_the_suffix_of_zstd_is_read_with_its_library(tmp_path: Path) -> None:
    (tmp_path / "zstandard.py").write_text(ZSTD)
    (tmp_path / "d.csv.zst").write_bytes(zlib.compress(b"question,answer\nWhy?,So.\n"))
    path = str(tmp_path / "d.csv.zst")
    assert in_a_child(READ, tmp_path, arguments=[path]) == f"d {path}\nWhy? So.\n"
    (tmp_path / "d.csv.zst").write_bytes(b"damaged")
    assert "d.csv.zst cannot be read: " in in_a_child(READ, tmp_path, arguments=[path])
