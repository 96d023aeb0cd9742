"""JSON Lines: one sample per line."""

from collections.abc import Iterable, Iterator
from typing import IO

from lm_eval_so.runner.dataset import hints
from lm_eval_so.runner.dataset.base import FileReader, Record
from lm_eval_so.runner.dataset.lines import is_utf_8, text_lines
from lm_eval_so.runner.errors import DatasetError

_BOM = b"\xef\xbb\xbf"


class JsonlReader(FileReader):
    """Skips blank lines, but counts them; the first line is line 1."""

    def records(self, file: IO[bytes]) -> Iterator[Record]:
        """The lines that are not blank.

        Raises:
            DatasetError: The first of them shows that the file is not JSON Lines.
        """
        return self.of_lines(utf_8_lines(file, self.config.encoding, self.name))

    def of_lines(self, lines: Iterable[bytes]) -> Iterator[Record]:
        """The records of lines in UTF-8; raises as `records`."""
        name, is_first = self.name, True
        for number, line in enumerate(lines, start=1):
            text = line.removeprefix(_BOM).strip()  # concatenated files have one each
            if not text:
                continue
            if is_first and (kind := hints.of_file(text)):
                raise DatasetError(f"{name}:{number}: {kind}")
            is_first = False
            yield Record(f"{name}:{number}", text)


def utf_8_lines(file: IO[bytes], encoding: str | None, name: str) -> Iterator[bytes]:
    """The lines of a file, in UTF-8 whatever its encoding is."""
    if is_utf_8(encoding):
        return iter(file)
    return (line.encode() for line in text_lines(file, encoding, name))
