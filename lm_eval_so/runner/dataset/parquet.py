"""Parquet, read batch by batch with pyarrow."""

from collections.abc import Iterator
from itertools import accumulate
from typing import IO, Any

from lm_eval_so.runner.dataset.base import Cursor, Record, SeekableFileReader
from lm_eval_so.runner.dataset.extras import needed
from lm_eval_so.runner.errors import DatasetError

_ROWS = 256  # at once


class ParquetReader(SeekableFileReader):
    """The place of a record is its row, from 1."""

    def records_from(self, file: IO[bytes], cursor: Cursor) -> Iterator[Record]:
        """The rows; the cursor is at their row group.

        Raises:
            DatasetError: It is no Parquet file, or a damaged one.
        """
        parquet = needed("pyarrow.parquet", extra="parquet", purpose="a Parquet file")
        try:
            yield from self._rows(parquet.ParquetFile(file), cursor)
        except ValueError as error:  # what pyarrow's own errors are
            reason = str(error).splitlines()[0]
            raise DatasetError(
                f"dataset {self.name} cannot be read as Parquet: {reason}"
            ) from error

    def _rows(self, file: Any, cursor: Cursor) -> Iterator[Record]:  # noqa: ANN401 - untyped
        groups = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
        ends = [*accumulate(groups)]  # the number of the last row of each
        group = min(cursor.at, len(groups))
        start = ends[group - 1] if group else 0
        before = max(cursor.number - 1 - start, 0)  # rows to drop
        number, wanted = start + before, [*range(group, len(groups))]
        for batch in file.iter_batches(batch_size=_ROWS, row_groups=wanted):
            dropped = min(before, batch.num_rows)
            before -= dropped
            for row in batch.slice(dropped).to_pylist():
                number += 1
                while number > ends[group]:
                    group += 1
                cursor.at, cursor.number = group, number
                yield Record(f"{self.name} row {number}", row)
