"""The results of the runs: gone through once, and then read line by line in any order."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self

from lm_eval_so.merge.answers import Answers, Place
from lm_eval_so.runner.errors import LostLinesError
from lm_eval_so.runner.store.directory import SUPERSEDED
from lm_eval_so.runner.store.files import reading
from lm_eval_so.runner.store.line import Whole
from lm_eval_so.runner.store.parts import PARTS
from lm_eval_so.runner.store.segments import open_results, read_from, reopen, results_path
from lm_eval_so.runner.store.stored_line import content, contents, mark_of

if TYPE_CHECKING:
    from lm_eval_so.runner.store.parts.truth import Segment

_MOST_OPEN = 128  # files; a process may have 1,024, or 256, open
_BUFFER, _READ = 1 << 16, 1 << 18  # bytes


class Files:
    """Results, and those files with answers that were set aside, by number.

    Attributes:
        paths: The file of each number; of a run in parts their folder.
    """

    def __init__(self, directories: Sequence[Path]) -> None:
        found = (each for path in directories for each in (results_path(path), path / SUPERSEDED))
        self.paths = [path for path in found if path.is_file() or path.name == PARTS]
        self._segments: dict[int, list[Segment]] = {}
        self._open: OrderedDict[int, BinaryIO] = OrderedDict()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._open.values():
            file.close()

    def answers(self) -> Answers:
        """What the lines of all files hold; damaged lines are passed over.

        Raises:
            NewerVersionError: A newer release wrote one of them.
            StoreError: A file cannot be read.
        """
        answers = Answers()
        for number, path in enumerate(self.paths):
            with reading(path), self._read_whole(number) as file:
                for offset, found in contents(file, path):
                    if found is not None:
                        answers.add(number, offset, found)
        return answers

    def lines(self, places: Iterable[Place]) -> Iterator[tuple[bytes, Whole]]:
        """The lines at these places, each with a newline, and their content.

        Raises:
            LostLinesError: A file was changed meanwhile.
            StoreError: A file cannot be read.
        """
        for number, offset, mark in places:
            path = self.paths[number]
            with reading(path):
                file = self._opened(number)
                file.seek(offset)  # costs nothing if it is in the buffer already
                line = file.readline().removesuffix(b"\n") + b"\n"
            fields = content(line, path)
            if fields is None or mark_of(fields["sample_id"], fields["request_key"]) != mark:
                raise LostLinesError(f"{path} was changed while it was read; merge again")
            yield line, fields

    def _read_whole(self, number: int) -> BinaryIO:
        path = self.paths[number]
        if path.name != PARTS:
            return path.open("rb", buffering=_READ)
        file = open_results(path.parent, _READ)
        self._segments[number] = read_from(file)
        return file

    def _opened(self, number: int) -> BinaryIO:
        file = self._open.pop(number, None)
        if file is None:
            if len(self._open) == _MOST_OPEN:
                self._open.popitem(last=False)[1].close()
            segments = self._segments.get(number)
            file = (
                self.paths[number].open("rb", buffering=_BUFFER)
                if segments is None
                else reopen(segments, _BUFFER, most_open=1)
            )
        self._open[number] = file
        return file
