"""Writes Excel workbooks as Excel does, cell by cell, so that nothing but a reader is needed."""

from __future__ import annotations

import zipfile
from datetime import date
from typing import TYPE_CHECKING, NamedTuple
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_DAY_0 = date(1899, 12, 30)
_STYLES = f"""<styleSheet xmlns="{_MAIN}"><cellXfs count="2"><xf numFmtId="0"/>\
<xf numFmtId="14"/></cellXfs></styleSheet>"""


class Formula(NamedTuple):
    """A formula, and the value that Excel last computed; None if it never did."""

    text: str
    value: str | None


class Sheet(NamedTuple):
    """A sheet: rows of cells, from the first row; merged cells as ``A2:A3``."""

    rows: Sequence[Sequence[object]]
    merged: Sequence[str] = ()
    name: str = "Sheet1"


def write_workbook(path: Path, *sheets: Sheet) -> Path:
    with zipfile.ZipFile(path, "w") as book:
        for name, text in _parts(sheets).items():
            book.writestr(name, f'<?xml version="1.0" encoding="UTF-8"?>{text}')
    return path


def _parts(sheets: Sequence[Sheet]) -> dict[str, str]:
    numbered = list(enumerate(sheets, start=1))
    types = "".join(
        f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{_TYPE}.worksheet+xml"/>'
        for n, _ in numbered
    )
    related = "".join(
        f'<Relationship Id="rId{n}" Type="{_OFFICE}/worksheet" Target="worksheets/sheet{n}.xml"/>'
        for n, _ in numbered
    )
    named = "".join(
        f'<sheet name="{escape(sheet.name)}" sheetId="{n}" r:id="rId{n}"/>' for n, sheet in numbered
    )
    return {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
        f'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.'
        f'relationships+xml"/><Override PartName="/xl/workbook.xml" '
        f'ContentType="{_TYPE}.sheet.main+xml"/><Override PartName="/xl/styles.xml" '
        f'ContentType="{_TYPE}.styles+xml"/>{types}</Types>',
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
        f'Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">{related}'
        f'<Relationship Id="rId0" Type="{_OFFICE}/styles" Target="styles.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{named}'
        "</sheets></workbook>",
        "xl/styles.xml": _STYLES,
        **{f"xl/worksheets/sheet{n}.xml": _sheet(sheet) for n, sheet in numbered},
    }


def _sheet(sheet: Sheet) -> str:
    rows = "".join(
        f'<row r="{row}">{"".join(_cell(f"{chr(65 + at)}{row}", c) for at, c in enumerate(cells))}'
        "</row>"
        for row, cells in enumerate(sheet.rows, start=1)
    )
    merged = "".join(f'<mergeCell ref="{ref}"/>' for ref in sheet.merged)
    merged = f"<mergeCells>{merged}</mergeCells>" if merged else ""
    return f'<worksheet xmlns="{_MAIN}"><sheetData>{rows}</sheetData>{merged}</worksheet>'


def _cell(at: str, value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return f'<c r="{at}" t="b"><v>{int(value)}</v></c>'
        case int() | float():
            return f'<c r="{at}"><v>{value}</v></c>'
        case date():
            return f'<c r="{at}" s="1"><v>{(value - _DAY_0).days}</v></c>'
        case Formula():
            cached = "" if value.value is None else f"<v>{escape(value.value)}</v>"
            return f'<c r="{at}" t="str"><f>{escape(value.text)}</f>{cached}</c>'
        case _:
            text = escape(str(value))
            return f'<c r="{at}" t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'
