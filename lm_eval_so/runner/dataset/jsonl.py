"""JSON Lines: one sample per line."""

from collections.abc import Iterator
from typing import IO

from lm_eval_so.runner.dataset import hints
from lm_eval_so.runner.dataset.base import FileReader, Record
from lm_eval_so.runner.errors import DatasetError

_BOM = b"\xef\xbb\xbf"


class JsonlReader(FileReader):
    """Skips blank lines, but counts them; the first line is line 1."""

    def records(self, file: IO[bytes]) -> Iterator[Record]:
        """The lines that are not blank.

        Raises:
            DatasetError: The first of them shows that the file is not JSON Lines.
        """
        name, is_first = self.name, True
        for number, line in enumerate(file, start=1):
            text = line.removeprefix(_BOM).strip()  # concatenated files have one each
            if not text:
                continue
            if is_first and (kind := hints.of_file(text)):
                raise DatasetError(f"{name}:{number}: {kind}")
            is_first = False
            yield Record(f"{name}:{number}", text)
