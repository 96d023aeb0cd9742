"""CSV for spreadsheets and programs: RFC 4180, UTF-8 with a byte order mark."""

import csv
import io
import re
from typing import Any, BinaryIO

from lm_eval_so.report.export.export import Export, as_text

_FORMULA = re.compile(r"[=+\-@\t\r\n＝＋－＠]")  # noqa: RUF001 - full width ones count too
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)


def write(export: Export, file: BinaryIO) -> None:
    """Writes a header and a row for each result; what is missing is empty.

    The mark lets Excel read Korean. A text that a spreadsheet would run gets an apostrophe before
    it: an answer comes from a stranger, and ``=HYPERLINK(...)`` sends the rest of the sheet away
    with one click. A number is left as it is. Whoever needs the exact text reads the JSONL or
    Parquet.
    """
    columns = export.columns
    guarded = 0
    text = io.TextIOWrapper(file, "utf-8-sig", errors="replace", newline="", write_through=False)
    try:
        writer = csv.writer(text)  # ends lines with CR LF, as the RFC wants it
        writer.writerow(columns)
        for row in export.rows():
            cells = [_cell(row.get(name)) for name in columns]
            harmless = [_harmless(cell) for cell in cells]
            guarded += harmless != cells
            writer.writerow(harmless)
    finally:
        text.detach()
    if guarded:
        export.notes.append(
            f"{guarded:,} rows have a text that a spreadsheet would run as a formula: an "
            "apostrophe stands before it"
        )


def _cell(value: object) -> Any:  # noqa: ANN401 - what the csv module takes
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int() | float():
            return value
        case _:
            return as_text(value)


def _harmless(cell: object) -> object:
    """A text so that no spreadsheet runs it."""
    if isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell
