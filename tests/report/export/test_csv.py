"""CSV as spreadsheets, the csv module and pandas read it."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from lm_eval_so.report.export.cli import main
from lm_eval_so.runner.run.data_frame import data_frame
from lm_eval_so.runner.store.read import read_results
from support.run_directories import answered, failed, write_run

if TYPE_CHECKING:
    from pathlib import Path

CALLS = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]


def exported(tmp_path: Path, *results: object, **changed: object) -> Path:
    run = write_run(tmp_path / "run", results, **changed)  # type: ignore[arg-type]
    output = tmp_path / "out.csv"
    assert main([str(run), "--to", "csv", "-o", str(output)]) == 0
    return output


def records(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def test_begins_with_the_mark_that_excel_looks_for_and_ends_lines_as_the_rfc_says(
    tmp_path: Path,
) -> None:
    content = exported(tmp_path, answered(text="한국어\nzwei")).read_bytes()
    assert content.startswith(b"\xef\xbb\xbfsample_id,")
    assert content.count(b"\r\n") == 2
    assert content.endswith(b"\r\n")


@pytest.mark.parametrize(
    "text",
    [
        'he said "no", then\nleft',
        "a\r\nb",
        "</script><script>alert(1)</script>",
        "\u2028\u2029\u202e",
        "👩‍👩‍👧" * 1000,
        "x" * 1_000_000,
        " ",
        "nul \x00 and bell \x07",
        "한국어 日本語",
    ],
)
def test_a_text_comes_back_as_it_is(tmp_path: Path, text: str) -> None:
    csv.field_size_limit(2_000_000)
    (row,) = records(exported(tmp_path, answered(text=text)))
    assert row["text"] == text


@pytest.mark.parametrize(
    "text",
    [
        '=HYPERLINK("http://x?"&A1,"click")',
        "+1+cmd|' /C calc'!A0",
        "-2+3",
        "- a list\n- of points",
        "@SUM(1)",
        "\t=1",
        "\r=1",
        "＝1+1",  # noqa: RUF001 - Excel of East Asia takes it
    ],
)
def test_no_spreadsheet_runs_an_answer(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    result = answered(text, text=text, context={"expected": text})
    (row,) = records(exported(tmp_path, result))
    assert row["text"] == row["expected"] == row["sample_id"] == f"'{text}"
    assert "1 rows have a text that a spreadsheet would run" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["-5", "+3.25", "-1e-3", "1=1", "a-b", "'", ""])
def test_a_number_and_a_harmless_text_stay_as_they_are(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (row,) = records(exported(tmp_path, answered(text=text)))
    assert row["text"] == text
    assert "spreadsheet" not in capsys.readouterr().err


def test_lists_and_mappings_are_json_and_an_expected_text_is_itself(tmp_path: Path) -> None:
    first = answered(
        "a", response={"tool_calls": CALLS}, context={"sample_tags": ["ko"], "expected": {"é": 1}}
    )
    row, other = records(exported(tmp_path, first, answered("b", context={"expected": "Paris"})))
    assert json.loads(row["tool_calls"]) == CALLS
    assert json.loads(row["messages"]) == [{"role": "user", "content": "q"}]
    assert (row["tags"], row["expected"], other["expected"]) == ('["ko"]', '{"é": 1}', "Paris")


def test_pandas_reads_what_to_pandas_has(tmp_path: Path) -> None:
    output = exported(tmp_path, answered("a", text="one"), failed("b"), answered("c", text=" "))
    frame = pd.read_csv(output)
    own = data_frame(read_results(tmp_path / "run"))
    assert list(frame.columns) == list(own.columns)
    for name in ("sample_id", "status", "error_type", "latency_ms", "attempts"):
        assert frame[name].astype(object).where(frame[name].notna(), None).tolist() == (
            own[name].astype(object).where(own[name].notna(), None).tolist()
        )
    assert frame["empty"].tolist() == [False, False, True]
    assert frame["empty"].dtype == bool


def test_a_run_without_results_is_a_header(tmp_path: Path) -> None:
    assert records(exported(tmp_path, samples=3, state="partial")) == []
