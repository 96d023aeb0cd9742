"""Rows of cells: a header, then a record for each row that is not blank."""

from collections.abc import Iterator, Sequence
from typing import Any

from lm_eval_so.runner.dataset.base import Record
from lm_eval_so.runner.errors import DatasetError


class Table:
    """Makes records of the rows below a header.

    Columns without a name may stand in the header as long as nothing stands below them: programs
    write them where a cell was only formatted.

    Args:
        header: Names of the columns.
        where: The place of the header, for errors.

    Raises:
        DatasetError: Two columns have one name.
    """

    def __init__(self, header: Sequence[object], where: str) -> None:
        self.names = [str(name).strip() for name in header]
        self._where = where
        named = [name for name in self.names if name]
        for name in named:
            if named.count(name) > 1:
                places = [str(at) for at, other in enumerate(self.names, 1) if other == name]
                raise DatasetError(
                    f"{where}: columns {' and '.join(places)} are both named `{name}`; rename one"
                )

    def record(self, where: str, cells: Sequence[Any]) -> Record:
        """The record of a row; empty cells are None.

        Raises:
            DatasetError: A cell stands in a column without a name.
        """
        if len(cells) != len(self.names):
            return Record(where, ValueError(self._ragged(len(cells))))
        row = dict(
            zip(self.names, (None if is_blank(cell) else cell for cell in cells), strict=True)
        )
        if "" in row:
            self._check_unnamed(where, cells)
            del row[""]
        return Record(where, row)

    def _check_unnamed(self, where: str, cells: Sequence[Any]) -> None:
        for number, (name, cell) in enumerate(zip(self.names, cells, strict=True), start=1):
            if not name and not is_blank(cell):
                raise DatasetError(
                    f"{where}: column {number} holds {str(cell)[:40]!r}, but has no name in the "
                    f"header ({self._where}); name it or remove it"
                )

    def _ragged(self, found: int) -> str:
        wanted = len(self.names)
        sentence = f"{_cells(found)}, but the header has {_cells(wanted)}"
        if found > wanted:
            return f"{sentence}; a cell that holds the delimiter needs double quotes around it"
        return f"{sentence}; column `{self.names[found]}` is the first that is missing"


def is_blank(cell: object) -> bool:
    """Whether a cell holds nothing, or only white space."""
    return cell is None or (isinstance(cell, str) and not cell.strip())


def rows_with_text(rows: Iterator[tuple[int, list[Any]]]) -> Iterator[tuple[int, list[Any]]]:
    """The numbered rows that are not blank."""
    return ((number, cells) for number, cells in rows if not all(map(is_blank, cells)))


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"
