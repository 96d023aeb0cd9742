"""Spreadsheets as people and programs leave them: read right, or told with file, row and column."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lm_eval_so.runner.errors import DatasetError
from support.datasets import questions_of, samples_of
from support.workbook import Formula, Sheet, write_workbook

if TYPE_CHECKING:
    from pathlib import Path


def refusal(path: Path, **config: object) -> str:
    """What is told, without the folder of the test."""
    with pytest.raises(DatasetError) as raised:
        samples_of(path, **config)
    return str(raised.value).replace(f"{path.parent}/", "")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param("", "dataset q.csv has no samples", id="empty"),
        pytest.param("question,answer\n", "dataset q.csv has no samples", id="header-only"),
        pytest.param("question\n,\n,x\n", "q.csv:3: 2 cells, but the header has 1", id="blank"),
        pytest.param(
            "question,answer\na,b,c\n",
            "q.csv:2: 3 cells, but the header has 2 cells; a cell that holds the delimiter needs "
            "double quotes around it",
            id="too-many-cells",
        ),
        pytest.param(
            "question,answer,tag\n\na,b\n",
            "q.csv:3: 2 cells, but the header has 3 cells; column `tag` is the first that is "
            "missing",
            id="too-few-cells",
        ),
        pytest.param(
            'question,n\n"a\nb",1\nc\n',
            "q.csv:4: 1 cell, but the header has 2 cells; column `n` is the first that is missing",
            id="lines-of-the-file-are-counted",
        ),
        pytest.param(
            "question,answer,question\na,b,c\n",
            "q.csv:1: columns 1 and 3 are both named `question`; rename one",
            id="duplicate-header",
        ),
        pytest.param(
            ",question\n0,a\n",
            "q.csv:2: column 1 holds '0', but has no name in the header (q.csv:1); name it or "
            "remove it",
            id="header-without-a-name",
        ),
        pytest.param(
            "question;answer\na;b\n",
            "q.csv:1: the columns seem to be separated by ';', not by ','; type "
            "dataset.delimiter=';'",
            id="semicolon",
        ),
        pytest.param(
            "question\tanswer\na\tb\n",
            "q.csv:1: the columns seem to be separated by tab, not by ','; type "
            "dataset.delimiter=tab",
            id="tab",
        ),
        pytest.param(
            'question\na\n"b\nc\n',
            "q.csv:3: a double quote that opens a cell here is never closed",
            id="open-quote",
        ),
        pytest.param(
            'question\na\n"b" c\n',
            "q.csv:3: a closing quote is followed by text; write a double quote within a cell "
            "twice",
            id="text-after-a-quote",
        ),
        pytest.param(
            "question,answer\n , x\n",
            "q.csv:2: column `question` is empty: nothing to ask",
            id="no-question",
        ),
        pytest.param(
            "id,question\nx,a\ny,b\nx,c\n",
            "q.csv:4: duplicate id 'x', first at q.csv:2",
            id="duplicate-id",
        ),
        pytest.param(
            "messages\nhello\n",
            "q.csv:2: column `messages` holds no JSON list of messages such as "
            '[{"role": "user", "content": "..."}]',
            id="messages-that-are-text",
        ),
        pytest.param(
            "number,text\n1,a\n",
            "q.csv:2: no column looks like the question (columns: `number`, `text`); type "
            "dataset.columns.input=COLUMN",
            id="no-known-name",
        ),
        pytest.param(
            "question,prompt\na,b\n",
            "q.csv:2: `question` and `prompt` may both be the input; type "
            "dataset.columns.input=question",
            id="two-questions",
        ),
        pytest.param(
            "question\ra\rb\r", "q.csv:1: a line break is only CR: tr '\\r' '\\n' < FILE", id="cr"
        ),
        pytest.param(
            "PK\x03\x04", "q.csv:1: this is a zip file or an Excel workbook, not CSV", id="xlsx"
        ),
        pytest.param("<html>", "q.csv:1: this is a web page or XML, not CSV", id="html"),
        pytest.param(
            "question\n환불은 언제 되나요".encode("cp949"),
            "q.csv:2: not UTF-8 (looks like CP949); type dataset.encoding=cp949",
            id="cp949",
        ),
        pytest.param(
            "question\na".encode("utf-16"),
            "q.csv:1: not UTF-8 (looks like UTF-16); type dataset.encoding=utf-16",
            id="utf-16",
        ),
        pytest.param(
            "question\na".encode("utf-16-le"),
            "q.csv:1: not UTF-8 (looks like UTF-16); type dataset.encoding=utf-16-le",
            id="utf-16-without-a-mark",
        ),
    ],
)
def test_a_broken_csv_file_is_told(tmp_path: Path, content: str | bytes, told: str) -> None:
    path = tmp_path / "q.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    shown = refusal(path)
    assert shown.startswith(told)
    assert shown.count("\n") == 0


@pytest.mark.parametrize(
    ("content", "config", "questions"),
    [
        pytest.param('question\n"a, ""b""\nc"\n', {}, ['a, "b"\nc'], id="quotes-and-breaks"),
        pytest.param("question,n\r\na,1\r\n", {}, ["a"], id="crlf"),
        pytest.param("\n,\nquestion,n\na,1\n,\n\n", {}, ["a"], id="blank-rows"),
        pytest.param("question,n,\na,1,\n", {}, ["a"], id="a-delimiter-at-each-end"),
        pytest.param("question;n\na;1\n", {"delimiter": ";"}, ["a"], id="semicolon"),
        pytest.param("question\tn\na\t1\n", {"delimiter": "tab"}, ["a"], id="tab"),
        pytest.param("sep=;\nquestion;n\na;1\n", {}, ["a"], id="delimiter-in-the-file"),
        pytest.param(" Question ,n\na,1\n", {}, ["a"], id="names-with-spaces"),
        pytest.param("question\nNaN\nnull\n", {}, ["NaN", "null"], id="words-are-text"),
        pytest.param("question\n" + "x" * 500_000, {}, ["x" * 500_000], id="a-long-cell"),
        pytest.param("질문,정답\n왜?,그냥\n", {}, ["왜?"], id="korean"),
    ],
)
def test_an_odd_csv_file_is_read_right(
    tmp_path: Path, content: str, config: dict[str, Any], questions: list[str]
) -> None:
    (tmp_path / "q.csv").write_bytes(content.encode())
    assert questions_of(tmp_path / "q.csv", **config) == questions


def test_rows_in_an_error_are_lines_of_the_file_also_below_the_delimiter(tmp_path: Path) -> None:
    (tmp_path / "q.csv").write_text("sep=;\nquestion;n\na\n")
    assert refusal(tmp_path / "q.csv").startswith("q.csv:3: 1 cell, but the header has 2 cells")


def test_ten_broken_rows_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "q.csv").write_text("question,answer\n" + "a\n" * 20)
    told = refusal(tmp_path / "q.csv").splitlines()
    assert (len(told), told[-1]) == (11, "stopped after 10 errors")


HEADER = ["question", "answer"]


@pytest.mark.parametrize(
    ("sheet", "told"),
    [
        pytest.param(Sheet([]), "dataset q.xlsx has no samples", id="empty-sheet"),
        pytest.param(Sheet([HEADER]), "dataset q.xlsx has no samples", id="header-only"),
        pytest.param(
            Sheet([HEADER, ["a", "b"], [None, "c"]]),
            "q.xlsx sheet 'Sheet1' row 3: column `question` is empty: nothing to ask",
            id="no-question",
        ),
        pytest.param(
            Sheet([HEADER, [], [Formula("A1", None), "c"]]),
            "q.xlsx sheet 'Sheet1' row 3: column `question` is empty: nothing to ask",
            id="a-formula-that-was-never-computed",
        ),
        pytest.param(
            Sheet([["id", "question"], [7, "a"], [7, "b"]]),
            "q.xlsx sheet 'Sheet1' row 3: duplicate id '7', first at q.xlsx sheet 'Sheet1' row 2",
            id="duplicate-id",
        ),
        pytest.param(
            Sheet([["question", "answer", "question"], ["a", "b", "c"]]),
            "q.xlsx sheet 'Sheet1' row 1: columns 1 and 3 are both named `question`; rename one",
            id="duplicate-header",
        ),
        pytest.param(
            Sheet([["question", None], ["x", "b"]], merged=["A1:B1"]),
            "q.xlsx sheet 'Sheet1' row 1: columns 1 and 2 are both named `question`; rename one",
            id="a-header-over-two-columns",
        ),
        pytest.param(
            Sheet([["question"], ["x", "a remark"]]),
            "q.xlsx sheet 'Sheet1' row 2: column 2 holds 'a remark', but has no name in the header",
            id="a-remark-beside",
        ),
    ],
)
def test_a_broken_workbook_is_told(tmp_path: Path, sheet: Sheet, told: str) -> None:
    shown = refusal(write_workbook(tmp_path / "q.xlsx", sheet))
    assert shown.startswith(told)
    assert shown.count("\n") == 0


@pytest.mark.parametrize("content", [b"", b"question\na", b"PK\x03\x04cut"])
def test_a_file_that_is_no_workbook_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "q.xlsx").write_bytes(content)
    assert refusal(tmp_path / "q.xlsx").startswith("dataset q.xlsx is no workbook of Excel: ")


def test_cells_of_excel_are_what_they_show(tmp_path: Path) -> None:
    rows = [
        ["id", "question", "answer", "when", "share", "sure", "computed"],
        [1, "a", 42.0, date(2026, 11, 26), 0.5, True, Formula("1+1", "two")],
    ]
    (sample,) = samples_of(write_workbook(tmp_path / "q.xlsx", Sheet(rows)))
    assert (sample.id, sample.expected) == ("1", 42)
    assert isinstance(sample.expected, int)
    assert sample.metadata == {
        "when": "2026-11-26",
        "share": 0.5,
        "sure": True,
        "computed": "two",
    }


def test_each_cell_of_merged_ones_is_what_they_show(tmp_path: Path) -> None:
    rows = [
        ["category", "question", "note"],
        ["refund", "a", "both"],
        [None, "b", None],
        [None, "c"],
        ["other", "d"],
    ]
    book = write_workbook(tmp_path / "q.xlsx", Sheet(rows, merged=["A2:A4", "C2:C3"]))
    samples = samples_of(book)
    assert [sample.tags for sample in samples] == [["refund"]] * 3 + [["other"]]
    assert [sample.metadata for sample in samples] == [{"note": "both"}] * 2 + [{}] * 2


def test_a_title_and_blank_rows_above_and_between_move_no_row(tmp_path: Path) -> None:
    rows = [[], [], HEADER, [], ["a", "x"], [], [None, "y"]]
    told = refusal(write_workbook(tmp_path / "q.xlsx", Sheet(rows)))
    assert told.startswith("q.xlsx sheet 'Sheet1' row 7: column `question` is empty")


def test_the_sheet_that_is_named_is_read(tmp_path: Path) -> None:
    sheets = [Sheet([["question"], [name]], name=name) for name in ("notes", "시험")]
    book = write_workbook(tmp_path / "q.xlsx", *sheets)
    assert questions_of(book) == ["notes"]
    assert questions_of(book, sheet="시험") == ["시험"]
    assert refusal(book, sheet="x") == "q.xlsx has no sheet 'x' (its sheets: 'notes', '시험')"


@pytest.mark.parametrize(
    ("cell", "tags"),
    [
        ("a, b", ["a", "b"]),
        ('["a, b", "c"]', ["a, b", "c"]),
        ("[draft]", ["[draft]"]),
        ("[]", []),
        (7, ["7"]),
        (" a ,, ", ["a"]),
    ],
)
def test_tags_of_a_cell_are_a_list(tmp_path: Path, cell: object, tags: list[str]) -> None:
    book = write_workbook(tmp_path / "q.xlsx", Sheet([["question", "tags"], ["q", cell]]))
    assert samples_of(book)[0].tags == tags


def test_nan_of_a_table_is_an_empty_cell(tmp_path: Path) -> None:
    table = pa.table({"question": ["a", "b"], "answer": [float("nan"), 1.5], "n": [1.0, None]})
    pq.write_table(table, tmp_path / "q.parquet")
    samples = samples_of(tmp_path / "q.parquet")
    assert [sample.expected for sample in samples] == [None, 1.5]
    assert [sample.metadata for sample in samples] == [{"n": 1.0}, {}]


def test_bytes_in_a_cell_are_told_with_row_and_column(tmp_path: Path) -> None:
    table = pa.table({"question": ["a", "b"], "image": [None, b"\x89PNG"]})
    pq.write_table(table, tmp_path / "q.parquet")
    told = refusal(tmp_path / "q.parquet")
    assert told == "q.parquet row 2: column `image` holds bytes that are no text"
    assert questions_of(tmp_path / "q.parquet", columns={"metadata": []}) == ["a", "b"]


@pytest.mark.parametrize("content", [b"", b"question\n", b"PAR1cut"])
def test_a_file_that_is_no_parquet_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "q.parquet").write_bytes(content)
    assert refusal(tmp_path / "q.parquet").startswith("dataset q.parquet cannot be read as Parquet")
