"""Rows of odd shapes are told with their place, and none ends a check in another way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from lm_eval_so.runner.config.schema import DatasetColumns, DatasetConfig
from lm_eval_so.runner.dataset.check import check
from lm_eval_so.runner.dataset.reader import read_checked
from lm_eval_so.runner.dataset.source import locate
from lm_eval_so.runner.errors import DatasetError

if TYPE_CHECKING:
    from pathlib import Path

MESSAGES = '"messages":[{"role":"user","content":"hi"}]'
IMAGE = '{"type":"image_url","image_url":{"url":%s}}'
WITH_IMAGE = '{"id":"a","messages":[{"role":"user","content":[' + IMAGE + "]}]}"
DEEP = "[" * 2000 + "]" * 2000
BUFFER = 3 << 16  # bytes: where the reader of an array has read one more block


def count(path: Path, **config: Any) -> int:  # noqa: ANN401 - options
    """Samples that both passes over a dataset find."""
    source = locate(DatasetConfig(path=path, **config))
    checked = check(source.reader)
    assert sum(1 for _ in read_checked(source.reader, checked)) == checked.count
    return checked.count


@pytest.mark.parametrize(
    ("name", "text", "config"),
    [
        ("a.jsonl", '{"instruction":"hi","output":"x","history":5}', {"layout": "alpaca"}),
        (
            "a.jsonl",
            '{"conversations":[{"from":["human"],"value":"x"}]}',
            {"layout": "sharegpt"},
        ),
        ("a.jsonl", WITH_IMAGE % json.dumps("file:" + "a" * 300), {}),
        ("a.jsonl", WITH_IMAGE % '"file:loop"', {}),
        ("a.jsonl", f'{{"question":"hi","x":{DEEP}}}', {}),
        ("a.json", f'[{{"id":"a",{MESSAGES},"metadata":{{"x":{"1" * 5000}}}}}]', {}),
    ],
    ids=["history", "speaker", "long-name", "loop", "deep", "long-number"],
)
def test_a_row_of_an_odd_shape_is_told_with_its_place(
    name: str, text: str, config: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / name).write_text(text + "\n")
    with pytest.raises(DatasetError, match=rf"{name}:1: "):
        count(tmp_path / name, **config)


@pytest.mark.parametrize("more", range(-2, 3))
def test_an_element_may_end_where_what_was_read_ends(more: int, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    empty = json.dumps([{"id": "a", "messages": [{"role": "user", "content": ""}]}])
    text = "x" * (BUFFER - len(empty) + 1 + more)
    path.write_text(json.dumps([{"id": "a", "messages": [{"role": "user", "content": text}]}]))
    assert count(path) == 1


def test_a_part_whose_type_is_no_text_is_no_file(tmp_path: Path) -> None:
    part = '{"type":["x"],"image_url":{"url":"file:a"}}'
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"id":"a","messages":[{{"role":"user","content":[{part}]}}]}}\n')
    assert count(path) == 1


def test_a_glob_that_cannot_be_one_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"\*\*\.jsonl"):
        locate(DatasetConfig(path=tmp_path / "**.jsonl"))


def test_nothing_in_an_expression_is_by_chance(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("question\n" + "".join(f"q{n}\n" for n in range(50)))
    columns = DatasetColumns(input="['a','b','c','d']|random ~ question")
    with pytest.raises(DatasetError, match="random"):
        count(tmp_path / "a.csv", columns=columns)
