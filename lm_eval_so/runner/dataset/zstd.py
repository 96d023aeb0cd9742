"""Files compressed with zstd."""

import io
import sys
from pathlib import Path
from typing import Any

from typing_extensions import Buffer

from lm_eval_so.runner.dataset.extras import needed

_IN_PYTHON = (3, 14)
"""The first version of Python that reads zstd itself."""


class ZstdFile(io.RawIOBase):
    """The unpacked bytes of a file; damage is an OSError, as it is for gzip."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        try:
            self._stream, self._damage = _stream(self._file)
        except BaseException:
            self._file.close()
            raise

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        """That of the file on disk."""
        return self._file.fileno()

    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer)
        try:
            data: bytes = self._stream.read(len(view))
        except self._damage as error:
            raise OSError(str(error)) from error
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def _stream(file: io.BufferedReader) -> tuple[Any, tuple[type[Exception], ...]]:
    """What reads the file unpacked, and what it raises for damage."""
    if sys.version_info >= _IN_PYTHON:
        library = needed("compression.zstd", extra="zstd", purpose="a .zst file")
        return library.ZstdFile(file), (library.ZstdError, EOFError)
    library = needed("zstandard", extra="zstd", purpose="a .zst file")
    unpacker = library.ZstdDecompressor()
    return unpacker.stream_reader(file, read_across_frames=True), (library.ZstdError,)
