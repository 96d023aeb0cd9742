"""An Excel workbook."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, islice
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, Final, Self

from lm_eval_so.report.export.export import Export, Row, as_text
from lm_eval_so.report.export.xml_text import clean
from lm_eval_so.runner.dataset.extras import needed
from lm_eval_so.runner.summary.result_row import ColumnType

ROWS: Final = 1_048_575
"""Results of one sheet: Excel has a row more, which is the header."""
LONGEST: Final = 32_767
"""Of a cell, in UTF-16 units, as Excel counts them."""

_INEXACT: Final = 10**15
"""Excel keeps 15 digits of a number."""

_WIDE = {"messages": 60, "text": 60, "expected": 40, "reasoning": 40, "error": 40}  # characters
_WIDTH = 14
_HEIGHT = 60  # points: four lines


def write(export: Export, file: BinaryIO) -> None:
    """Writes a sheet with a row for each result, and further sheets where one cannot hold them.

    In memory that does not grow. Texts are never formulas or links.

    Raises:
        LmEvalError: The extra ``excel`` is not installed.
    """
    write_sheets(export, file, ROWS)


def write_sheets(export: Export, file: BinaryIO, rows_per_sheet: int) -> None:
    """`write`, with at most so many results on a sheet."""
    with _workbook(file) as book:
        sheets = _Sheets(book, export.columns)
        rows = export.rows()
        first: Row | None = next(rows, None)
        sheets.add([] if first is None else islice(chain([first], rows), rows_per_sheet))
        while (first := next(rows, None)) is not None:
            sheets.add(islice(chain([first], rows), rows_per_sheet))
    if sheets.cut:
        export.notes.append(
            f"cut {sheets.cut:,} cells off at {LONGEST:,} characters, the most that Excel holds; "
            "each ends with a mark"
        )


@contextmanager
def _workbook(file: BinaryIO) -> Iterator[Any]:
    """A workbook that is written at the end, unless something is raised.

    Raises:
        OSError: The disk is full, for one.
    """
    xlsxwriter = needed("xlsxwriter", extra="excel", purpose="--to xlsx")
    options = {"constant_memory": True, "strings_to_urls": False, "strings_to_formulas": False}
    with TemporaryDirectory(prefix="lm-eval-so-") as folder, _Quiet(file) as quiet:
        book = xlsxwriter.Workbook(quiet, {**options, "nan_inf_to_errors": True, "tmpdir": folder})
        book.use_zip64()  # for a sheet above 4 GB; a smaller one is the same file without it
        try:
            yield book
            book.close()
        except xlsxwriter.exceptions.FileCreateError as error:  # says nothing of its own
            raise (error.__context__ or error) from None
        finally:
            for sheet in book.worksheets():
                sheet.row_data_fh.close()


class _Quiet:
    """A file that takes everything, and raises at the end what it could not write.

    A ZipFile that meets an error tries again when it is collected, and fails on stderr.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._error: OSError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        error, self._error = self._error, OSError("it is over")
        if error is not None and kind is None:
            raise error

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the file has
        def call(*arguments: Any) -> Any:  # noqa: ANN401 - likewise
            if self._error is None:
                try:
                    return getattr(self._file, name)(*arguments)
                except OSError as error:
                    self._error = error
            return 0

        return call


class _Sheets:
    """Adds sheets to a workbook.

    Attributes:
        cut: Cells that were too long.
    """

    def __init__(self, book: Any, columns: dict[str, ColumnType]) -> None:  # noqa: ANN401 - untyped
        self.cut = 0
        self._book = book
        self._columns = columns
        self._count = 0
        self._header = book.add_format({"bold": True, "valign": "top"})
        self._body = book.add_format({"text_wrap": True, "valign": "top"})

    def add(self, rows: Iterator[Row] | list[Row]) -> None:
        """One sheet with these rows below the header."""
        self._count += 1
        sheet = self._book.add_worksheet(
            "results" if self._count == 1 else f"results {self._count}"
        )
        sheet.freeze_panes(1, 1)
        sheet.set_default_row(_HEIGHT)
        sheet.set_row(0, 15)
        for number, name in enumerate(self._columns):
            sheet.set_column(number, number, _WIDE.get(name, _WIDTH))
            sheet.write_string(0, number, self._text(name), self._header)
        last = 0
        for last, row in enumerate(rows, start=1):
            for number, name in enumerate(self._columns):
                self._write(sheet, (last, number), row.get(name))
        sheet.autofilter(0, 0, last, len(self._columns) - 1)

    def _write(self, sheet: Any, place: tuple[int, int], value: object) -> None:  # noqa: ANN401 - untyped
        match value:
            case None:
                pass
            case bool():
                sheet.write_boolean(*place, value, self._body)
            case int() if abs(value) >= _INEXACT:
                sheet.write_string(*place, str(value), self._body)
            case int() | float():
                sheet.write_number(*place, value, self._body)
            case _:
                sheet.write_string(*place, self._text(as_text(value)), self._body)

    def _text(self, text: str) -> str:
        """A text that Excel can hold and XML can carry."""
        text = clean(text.replace("\r\n", "\n").replace("\r", "\n"))
        if text.startswith("<r>") and text.endswith("</r>"):
            text += " "  # else xlsxwriter takes it for XML of its own, and writes it unescaped
        if len(text) * 2 <= LONGEST or _units(text) <= LONGEST:
            return text
        self.cut += 1
        mark = f" … [cut: {len(text):,} characters]"
        kept = text.encode("utf-16-le")[: 2 * (LONGEST - len(mark))]
        return kept.decode("utf-16-le", "ignore") + mark


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2
