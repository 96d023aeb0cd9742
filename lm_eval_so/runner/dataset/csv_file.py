"""CSV and TSV: one row per record, with a header."""

import csv
import re
from collections.abc import Iterator
from itertools import chain
from typing import IO, Any

from lm_eval_so.runner.dataset.base import FileReader, Record
from lm_eval_so.runner.dataset.lines import text_lines
from lm_eval_so.runner.dataset.table import Table, rows_with_text
from lm_eval_so.runner.errors import DatasetError

_LONGEST_CELL = 1 << 26  # characters; Python's own bound is 131,072
_DELIMITERS = {";": "';'", "\t": "tab", "|": "'|'", ",": "','"}
"""How each is typed in a shell."""
_NAMED = re.compile(r'"?sep=(.)"?\r?\n?')
"""The first line that Excel writes and reads to name the delimiter."""
_KINDS = {
    "PK\x03\x04": "this is a zip file or an Excel workbook, not CSV; name it .xlsx if it is one",
    "PAR1": "this is a Parquet file, not CSV; name it .parquet",
    "<": "this is a web page or XML, not CSV",
}


class CsvReader(FileReader):
    """Reads CSV as the csv module of Python does, strictly: a quote that is not closed is an error.

    The place of a record is the line of the file on which it begins.
    """

    delimiter = ","

    def records(self, file: IO[bytes]) -> Iterator[Record]:
        """The rows below the header.

        Raises:
            DatasetError: The header, the encoding, the delimiter or the quotes are wrong.
        """
        table = None
        for number, cells in rows_with_text(self._rows(file)):
            where = f"{self.name}:{number}"
            if table is None:
                self._check_header(cells, where)
                table = Table(cells, where)
            else:
                yield table.record(where, cells)

    def _rows(self, file: IO[bytes]) -> Iterator[tuple[int, list[Any]]]:
        lines = text_lines(file, self.config.encoding, self.name)
        first = next(lines, "")
        self._check_kind(first)
        named, delimiter = _NAMED.fullmatch(first), self.config.delimiter or self.delimiter
        if named:
            delimiter, before = named[1], 1
        else:
            lines, before = chain([first], lines), 0
        csv.field_size_limit(_LONGEST_CELL)
        rows = csv.reader(lines, delimiter=delimiter, strict=True)
        while True:
            number = before + rows.line_num + 1
            try:
                cells = next(rows, None)
            except csv.Error as error:
                raise DatasetError(f"{self.name}:{number}: {_sentence(error)}") from error
            if cells is None:
                return
            yield number, cells

    def _check_kind(self, first: str) -> None:
        kind = next((kind for start, kind in _KINDS.items() if first.startswith(start)), None)
        if kind is None and "\x00" in first:
            kind = "not UTF-8 (looks like UTF-16); type dataset.encoding=utf-16-le"
        if kind is not None:
            raise DatasetError(f"{self.name}:1: {kind}")

    def _check_header(self, cells: list[str], where: str) -> None:
        used = self.config.delimiter or self.delimiter
        if len(cells) > 1:
            return
        for delimiter, typed in _DELIMITERS.items():
            if delimiter != used and delimiter in cells[0]:
                raise DatasetError(
                    f"{where}: the columns seem to be separated by {typed}, not by "
                    f"{_DELIMITERS.get(used, repr(used))}; type dataset.delimiter={typed}"
                )


class TsvReader(CsvReader):
    """The same, separated by tabs."""

    delimiter = "\t"


def _sentence(error: csv.Error) -> str:
    text = str(error)
    if "unexpected end of data" in text:
        return "a double quote that opens a cell here is never closed"
    if "expected after" in text:
        return "a closing quote is followed by text; write a double quote within a cell twice"
    if "new-line character" in text:
        return "a line break is only CR: tr '\\r' '\\n' < FILE > questions.csv"
    return f"not valid CSV: {text}"
