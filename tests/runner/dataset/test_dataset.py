from __future__ import annotations

import gzip
import json
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.runner.config.schema import DatasetConfig
from lm_eval_so.runner.dataset.check import check
from lm_eval_so.runner.dataset.jsonl import JsonlReader
from lm_eval_so.runner.dataset.reader import read_samples
from lm_eval_so.runner.dataset.source import locate
from lm_eval_so.runner.errors import DatasetError

if TYPE_CHECKING:
    from pathlib import Path

LINES = [
    json.dumps(
        {"id": f"s{n}", "messages": [{"role": "user", "content": "안녕"}]}, ensure_ascii=False
    )
    for n in range(3)
]
PLAIN = "\n".join(LINES).encode() + b"\n"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(PLAIN, id="plain"),
        pytest.param(PLAIN.rstrip(), id="no-last-newline"),
        pytest.param(b"\xef\xbb\xbf" + PLAIN, id="bom"),
        pytest.param(PLAIN.replace(b"\n", b"\r\n"), id="crlf"),
        pytest.param(b"\n \n" + PLAIN.replace(b"\n", b"\n\n\t\n"), id="blank-lines"),
    ],
)
@pytest.mark.parametrize("name", ["test.jsonl", "test.jsonl.gz"])
def test_the_same_samples_in_any_dress_are_the_same_dataset(
    tmp_path: Path, content: bytes, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    (tmp_path / "plain.jsonl").write_bytes(PLAIN)
    assert locate(DatasetConfig(path=tmp_path)).path == path
    assert check(JsonlReader(path)) == check(JsonlReader(tmp_path / "plain.jsonl"))
    assert [sample.id for sample in read_samples(JsonlReader(path))] == ["s0", "s1", "s2"]


@pytest.mark.parametrize(
    ("path", "metadata", "expected"),
    [
        pytest.param("d", None, ("d", "d", None), id="directory"),
        pytest.param("d/test.jsonl", None, ("d", "d", None), id="its-file"),
        pytest.param("d/other.jsonl", None, ("other", "other", None), id="another-file"),
        pytest.param("d", {"id": "x", "version": 2}, ("x", "x", "2"), id="metadata"),
        pytest.param("d", {"dataset_id": "x", "name": "N"}, ("x", "N", None), id="dataset_id"),
        pytest.param("d", {"dataset_id": "x", "id": "y"}, ("x", "x", None), id="dataset_id-wins"),
    ],
)
def test_a_dataset_is_named_by_its_metadata_else_by_its_place(
    tmp_path: Path, path: str, metadata: object, expected: tuple[str, str, str | None]
) -> None:
    (tmp_path / "d").mkdir()
    for name in ("test.jsonl", "other.jsonl"):
        (tmp_path / "d" / name).write_bytes(PLAIN)
    if metadata:
        (tmp_path / "d" / "metadata.json").write_text("\ufeff" + json.dumps(metadata))
    source = locate(DatasetConfig(path=tmp_path / path))
    assert (source.id, source.name, source.version) == expected


def test_metadata_that_is_named_wins_over_what_stands_beside(tmp_path: Path) -> None:
    (tmp_path / "test.jsonl").write_bytes(PLAIN)
    (tmp_path / "metadata.json").write_text('{"id": "beside"}')
    (tmp_path / "named.json").write_text('{"id": "named"}')
    config = DatasetConfig(path=tmp_path, metadata=tmp_path / "named.json")
    assert locate(config).id == "named"


def test_what_a_sample_has_beyond_the_known_keys_is_kept(tmp_path: Path) -> None:
    line = {
        "id": "a",
        "messages": [
            {"role": "system", "content": "be brief", "cache": True},
            {"role": "user", "name": "Kim", "content": [{"type": "image_url", "x": [1]}]},
            {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f"}}]},
            {"role": "tool", "tool_call_id": "c", "content": "4"},
        ],
        "expected": {"any": ["thing"]},
        "difficulty": 3,
    }
    (tmp_path / "a.jsonl").write_text(json.dumps(line))
    (sample,) = read_samples(JsonlReader(tmp_path / "a.jsonl"))
    assert sample.messages == line["messages"]
    assert sample.expected == {"any": ["thing"]}
    assert sample.model_extra == {"difficulty": 3}


def test_samples_are_read_as_they_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(PLAIN + b"garbage\n" * 10_000)
    assert [sample.id for sample in islice(read_samples(JsonlReader(path)), 3)] == [
        "s0",
        "s1",
        "s2",
    ]


def test_a_file_that_changed_after_the_check_is_told_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(PLAIN + b"garbage\n")
    with pytest.raises(DatasetError, match=r"a\.jsonl:4: not valid JSON"):
        list(read_samples(JsonlReader(path)))


def test_every_duplicate_is_told_with_the_line_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join([*LINES, "", LINES[1], LINES[0]]))
    with pytest.raises(DatasetError) as raised:
        check(JsonlReader(path))
    assert str(raised.value).splitlines() == [
        f"{path}:5: duplicate id 's1', first at {path}:2",
        f"{path}:6: duplicate id 's0', first at {path}:1",
    ]


def test_one_changed_letter_is_another_dataset(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(PLAIN)
    (tmp_path / "b.jsonl").write_bytes(PLAIN.replace("안녕".encode(), "안냥".encode(), 1))
    assert (
        check(JsonlReader(tmp_path / "a.jsonl")).sha256
        != check(JsonlReader(tmp_path / "b.jsonl")).sha256
    )
