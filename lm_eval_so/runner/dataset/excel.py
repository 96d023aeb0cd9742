"""Workbooks of Excel, read with python-calamine; formulas count with the values last computed."""

from collections.abc import Iterator
from typing import IO, Any, NamedTuple

from lm_eval_so.runner.dataset.base import FileReader, Record
from lm_eval_so.runner.dataset.extras import needed
from lm_eval_so.runner.dataset.table import Table, rows_with_text
from lm_eval_so.runner.errors import DatasetError

_EXACT = 2**53  # below this, a float is exactly one integer


class ExcelReader(FileReader):
    """Reads one sheet; the place of a record is the sheet and the row as Excel numbers it.

    Whole numbers are integers, and each cell of merged ones holds what they show.
    """

    def records(self, file: IO[bytes]) -> Iterator[Record]:
        """The rows below the header, which is the first row that is not blank.

        Raises:
            DatasetError: It is no workbook, or has no such sheet, or its header is wrong.
        """
        sheet = self._sheet(file)
        table = None
        for number, cells in rows_with_text(_rows(sheet)):
            where = f"{self.name} sheet {sheet.name!r} row {number}"
            if table is None:
                table = Table(cells, where)
            else:
                yield table.record(where, cells)

    def _sheet(self, file: IO[bytes]) -> Any:  # noqa: ANN401 - an untyped library
        calamine = needed("python_calamine", extra="excel", purpose="an Excel file")
        try:
            book = calamine.load_workbook(file)
            name = self.config.sheet or _first_visible(book)
            if name in book.sheet_names:
                return book.get_sheet_by_name(name)
        except calamine.CalamineError as error:
            raise DatasetError(f"dataset {self.name} is no workbook of Excel: {error}") from error
        known = ", ".join(map(repr, book.sheet_names))
        raise DatasetError(f"{self.name} has no sheet {name!r} (its sheets: {known})")


class _Span(NamedTuple):
    """Merged cells; rows and columns from 0, both ends included."""

    top: int
    bottom: int
    left: int
    right: int


def _first_visible(book: Any) -> str:  # noqa: ANN401 - an untyped library
    sheets = book.sheets_metadata
    visible = [s.name for s in sheets if "WorkSheet" in str(s.typ) and "Visible" in str(s.visible)]
    return str([*visible, *book.sheet_names][0])


def _rows(sheet: Any) -> Iterator[tuple[int, list[Any]]]:  # noqa: ANN401 - an untyped library
    first_column = sheet.start[1] if sheet.start else 0
    ahead = sorted(_spans(sheet, first_column), reverse=True)
    open_spans: dict[_Span, Any] = {}
    for row, cells in enumerate(sheet.iter_rows()):
        values = [_value(cell) for cell in cells]
        open_spans = {span: value for span, value in open_spans.items() if row <= span.bottom}
        while ahead and ahead[-1].top <= row:
            span = ahead.pop()
            open_spans[span] = values[span.left]
        for span, value in open_spans.items():
            values[span.left : span.right + 1] = [value] * (span.right + 1 - span.left)
        yield row + 1, values


def _spans(sheet: Any, first_column: int) -> Iterator[_Span]:  # noqa: ANN401 - an untyped library
    """The merged cells of a sheet that are within what is read."""
    for (top, left), (bottom, right) in sheet.merged_cell_ranges or ():
        within = min(right - first_column, sheet.width - 1)
        if 0 <= left - first_column <= within:
            yield _Span(top, bottom, left - first_column, within)


def _value(cell: Any) -> Any:  # noqa: ANN401 - whatever a cell holds
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < _EXACT:
        return int(cell)
    return cell
