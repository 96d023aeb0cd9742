"""Workbooks as openpyxl reads them."""

from __future__ import annotations

import re
import zipfile
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from openpyxl import load_workbook

from lm_eval_so.report.export.cell import open_cells
from lm_eval_so.report.export.cli import main
from lm_eval_so.report.export.export import Export
from lm_eval_so.report.export.xlsx import LONGEST, write_sheets
from lm_eval_so.runner.errors import NewerVersionError
from support.run_directories import answered, failed, write_run

if TYPE_CHECKING:
    from pathlib import Path

    from openpyxl.cell import Cell

    from lm_eval_so.runner.models import RunResult


def exported(tmp_path: Path, *results: RunResult) -> Path:
    run, output = write_run(tmp_path / "run", results), tmp_path / "out.xlsx"
    assert main([str(run), "--to", "xlsx", "-o", str(output)]) == 0
    return output


def cells(path: Path) -> list[dict[str, Cell]]:
    header, *rows = load_workbook(path)["results"].iter_rows()
    names = [str(cell.value) for cell in header]
    return [dict(zip(names, row, strict=True)) for row in rows]


def text_of(tmp_path: Path, text: str) -> object:
    (row,) = cells(exported(tmp_path, answered(text=text)))
    assert row["text"].data_type == "s"
    return row["text"].value


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        '=HYPERLINK("http://x","y")',
        "http://example.com",
        "@SUM(1)",
        "{=1}",
        "-5",
        "</t></is></c><script>",
        "한국어 & <b>",
        " spaces around ",
        "two\nlines",
        "👩‍👩‍👧" * 500,
        "\u2028\u202e",
    ],
)
def test_a_text_is_that_text_and_nothing_that_runs(tmp_path: Path, text: str) -> None:
    assert text_of(tmp_path, text) == text


def test_a_character_that_xml_cannot_carry_is_marked(tmp_path: Path) -> None:
    assert text_of(tmp_path, "a\x00b\x1b[0m\ufffe") == "a\ufffdb\ufffd[0m\ufffd"


def test_a_text_that_looks_like_a_rich_string_is_no_xml(tmp_path: Path) -> None:
    text = '<r><t>x</t></r></is></c><c r="Z9"><f>1+1</f></c><c t="inlineStr"><is><r><t>y</t></r>'
    assert text_of(tmp_path, text) == f"{text} "


def test_what_excel_reads_as_an_escape_is_escaped(tmp_path: Path) -> None:
    assert text_of(tmp_path, "_x0041_") == "_x005F_x0041_"  # openpyxl leaves it to the reader


@pytest.mark.parametrize(
    ("text", "units"), [("x" * 40_000, 1), ("👍" * 20_000, 2), ("x" + "👍" * 20_000, 2)]
)
def test_a_text_that_is_too_long_is_cut_marked_and_counted(
    tmp_path: Path, text: str, units: int, capsys: pytest.CaptureFixture[str]
) -> None:
    found = str(text_of(tmp_path, text))
    assert len(found.encode("utf-16-le")) // 2 in {LONGEST, LONGEST - units + 1}
    assert found.endswith(f" … [cut: {len(text):,} characters]")
    assert text.startswith(found.partition(" …")[0])
    assert "cut 1 cells off at 32,767 characters" in capsys.readouterr().err


def test_the_longest_text_that_excel_holds_is_whole(tmp_path: Path) -> None:
    assert text_of(tmp_path, "x" * LONGEST) == "x" * LONGEST


def test_numbers_are_numbers_and_what_is_missing_is_empty(tmp_path: Path) -> None:
    ok, bad = cells(exported(tmp_path, answered("007", cost_usd=0.5), failed("8")))
    assert (ok["sample_id"].value, ok["latency_ms"].value, ok["cost_usd"].value) == ("007", 1, 0.5)
    assert (ok["truncated"].value, ok["error"].value) == (False, None)
    assert (bad["text"].value, bad["error"].value, bad["output_tokens"].value) == (
        None,
        "down",
        None,
    )


def test_the_header_stays_in_sight_and_texts_wrap(tmp_path: Path) -> None:
    sheet = load_workbook(exported(tmp_path, answered()))["results"]
    assert sheet.freeze_panes == "B2"
    assert sheet["E2"].alignment.wrap_text
    assert sheet.column_dimensions["D"].width > sheet.column_dimensions["A"].width


@pytest.mark.parametrize(("count", "sheets"), [(0, [0]), (3, [3]), (4, [3, 1]), (7, [3, 3, 1])])
def test_what_one_sheet_cannot_hold_is_on_the_next(
    tmp_path: Path, count: int, sheets: list[int]
) -> None:
    run = write_run(tmp_path / "run", [answered(f"s{n}") for n in range(count)])
    file = BytesIO()
    write_sheets(Export(open_cells([run])), file, rows_per_sheet=3)
    book = load_workbook(file)
    assert [sheet.max_row - 1 for sheet in book] == sheets
    assert [sheet["A1"].value for sheet in book] == ["sample_id"] * len(sheets)
    ids = [row[0] for sheet in book for row in sheet.iter_rows(min_row=2, values_only=True)]
    assert ids == [f"s{n}" for n in range(count)]


def test_the_workbook_has_no_formula_link_or_macro(tmp_path: Path) -> None:
    path = exported(tmp_path, answered(text="=cmd|' /C calc'!A0", context={"expected": "http://x"}))
    with zipfile.ZipFile(path) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
        assert not re.search(r"<f[ >]|<hyperlink", sheet)
        assert not [name for name in book.namelist() if "vba" in name or "rels/sheet" in name]


def test_a_number_of_more_digits_than_excel_keeps_is_a_text(tmp_path: Path) -> None:
    numbers = [10**15 - 1, 10**15 + 1, -(10**18) - 1, 10**400]
    results = [answered(str(n), context={"expected": n}) for n in numbers]
    found = [row["expected"].value for row in cells(exported(tmp_path, *results))]
    assert found == [numbers[0], *map(str, numbers[1:])]


def test_what_fails_packs_no_workbook_and_leaves_nothing_in_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_run(tmp_path / "run", [answered(), answered("b", schema_version=99)])
    scratch, file = tmp_path / "scratch", BytesIO()
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    with pytest.raises(NewerVersionError):
        write_sheets(Export(open_cells([run])), file, 10)
    assert file.getvalue() == b""
    assert list(scratch.iterdir()) == []
