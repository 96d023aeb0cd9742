"""Lines that are in several files, as one file that can be read and in which one can seek."""

import errno
import io
import os
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from typing_extensions import Buffer

from lm_eval_so.runner.store.parts.truth import ResultsStamp, Segment

MOST_OPEN = 8
"""Files; readers go back and forth between some of them."""


class PartsFile(io.RawIOBase):
    """The bytes of segments, one after the other.

    Args:
        name: What stands for it in errors.
        segments: In order.
        stamp: Of the lines when the segments were found.
        most_open: So many files are open at once, at most.

    Raises (on reading):
        OSError: A file was replaced since, or cannot be read.
    """

    def __init__(
        self,
        name: Path,
        segments: Sequence[Segment],
        stamp: ResultsStamp,
        most_open: int = MOST_OPEN,
    ) -> None:
        self.name = str(name)
        self.segments = [one for one in segments if one.end > one.start]
        self.stamp = stamp
        self._ends = list(accumulate(one.end - one.start for one in self.segments))
        self._at = 0
        self._most_open = most_open
        self._opened: OrderedDict[Path, io.FileIO] = OrderedDict()

    @property
    def size(self) -> int:
        """Bytes in all."""
        return self._ends[-1] if self._ends else 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        if start + offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), self.name)
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Buffer, /) -> int:
        number = bisect_right(self._ends, self._at)
        if number == len(self.segments):
            return 0
        segment, left = self.segments[number], self._ends[number] - self._at
        with memoryview(buffer).cast("B") as view:
            if not view:
                return 0
            file = self._file(segment)
            file.seek(segment.end - left)
            count = file.readinto(view[:left])
        if not count:
            raise _replaced(segment.path)
        self._at += count
        return count

    def close(self) -> None:
        while self._opened:
            self._opened.popitem()[1].close()
        super().close()

    def _file(self, segment: Segment) -> io.FileIO:
        file = self._opened.pop(segment.path, None)
        if file is None:
            file = _opened(segment)
            if len(self._opened) >= self._most_open:
                self._opened.popitem(last=False)[1].close()
        self._opened[segment.path] = file
        return file


def _opened(segment: Segment) -> io.FileIO:
    try:
        file = io.FileIO(segment.path)
    except FileNotFoundError as error:
        raise _replaced(segment.path) from error
    if segment.inode and os.fstat(file.fileno()).st_ino != segment.inode:
        file.close()
        raise _replaced(segment.path)
    return file


def _replaced(path: Path) -> OSError:
    return OSError(errno.ESTALE, "the run has replaced it meanwhile; try again", str(path))
