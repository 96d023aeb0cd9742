"""JSON Lines: a sample a line."""

from collections.abc import Iterator
from typing import IO

from lm_eval_so.runner.dataset import hints
from lm_eval_so.runner.dataset.base import FileReader, Record
from lm_eval_so.runner.errors import DatasetError

_BOM = b"\xef\xbb\xbf"


class JsonlReader(FileReader):
    """Blank lines are skipped; lines are counted from 1, blank ones included."""

    def records(self, file: IO[bytes]) -> Iterator[Record]:
        """The lines that are not blank.

        Raises:
            DatasetError: The first of them shows that the file is of another kind.
        """
        name, is_first = self.name, True
        for number, line in enumerate(file, start=1):
            text = line.removeprefix(_BOM).strip()  # joined files have one each
            if not text:
                continue
            if is_first and (kind := hints.of_file(text)):
                raise DatasetError(f"{name}:{number}: {kind}")
            is_first = False
            yield Record(f"{name}:{number}", text)
