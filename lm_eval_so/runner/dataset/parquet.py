"""Parquet, read batch by batch with pyarrow."""

from collections.abc import Iterator
from typing import IO

from lm_eval_so.runner.dataset.base import FileReader, Record
from lm_eval_so.runner.dataset.extras import needed
from lm_eval_so.runner.errors import DatasetError

_ROWS = 256  # at once


class ParquetReader(FileReader):
    """The place of a record is its row, from 1."""

    def records(self, file: IO[bytes]) -> Iterator[Record]:
        """The rows.

        Raises:
            DatasetError: It is no Parquet file, or a damaged one.
        """
        parquet = needed("pyarrow.parquet", extra="parquet", purpose="a Parquet file")
        number = 0
        try:
            for batch in parquet.ParquetFile(file).iter_batches(batch_size=_ROWS):
                for row in batch.to_pylist():
                    number += 1
                    yield Record(f"{self.name} row {number}", row)
        except ValueError as error:  # what pyarrow's own errors are
            reason = str(error).splitlines()[0]
            raise DatasetError(
                f"dataset {self.name} cannot be read as Parquet: {reason}"
            ) from error
