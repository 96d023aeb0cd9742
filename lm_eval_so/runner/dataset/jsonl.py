"""JSON Lines: one sample per line."""

from collections.abc import Iterable, Iterator
from typing import IO

from lm_eval_so.runner.dataset import hints
from lm_eval_so.runner.dataset.base import PACKED, Cursor, Record, SeekableFileReader
from lm_eval_so.runner.dataset.lines import is_utf_8, text_lines
from lm_eval_so.runner.errors import DatasetError

_BOM = b"\xef\xbb\xbf"


class JsonlReader(SeekableFileReader):
    """Skips blank lines, but counts them; the first line is line 1."""

    @property
    def can_seek(self) -> bool:
        """Whether the lines are bytes of the file as they are."""
        return is_utf_8(self.config.encoding) and self.path.suffix not in PACKED

    def records_from(self, file: IO[bytes], cursor: Cursor) -> Iterator[Record]:
        """The lines that are not blank; the cursor is at their bytes.

        Raises:
            DatasetError: The first of the file shows that it is not JSON Lines.
        """
        if cursor.at:
            file.seek(cursor.at)
        return self._of_lines(utf_8_lines(file, self.config.encoding, self.name), cursor)

    def _of_lines(self, lines: Iterable[bytes], cursor: Cursor) -> Iterator[Record]:
        name, end, is_first = self.name, cursor.at, cursor.at == 0
        for number, line in enumerate(lines, start=cursor.number):
            begin = end
            end += len(line)
            text = line.removeprefix(_BOM).strip()  # concatenated files have one each
            if not text:
                continue
            if is_first and (kind := hints.of_file(text)):
                raise DatasetError(f"{name}:{number}: {kind}")
            is_first = False
            cursor.at, cursor.number = begin, number
            yield Record(f"{name}:{number}", text)


def utf_8_lines(file: IO[bytes], encoding: str | None, name: str) -> Iterator[bytes]:
    """The lines of a file, in UTF-8 whatever its encoding is."""
    if is_utf_8(encoding):
        return iter(file)
    return (line.encode() for line in text_lines(file, encoding, name))
