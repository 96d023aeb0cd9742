"""Where an export goes: a file that is whole or absent, or a stream."""

import io
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from lm_eval_so.runner.errors import LmEvalError


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """An empty file that takes the name, and the place of an older one, if nothing is raised.

    As the other files with prompts and answers, it is readable by its owner alone. A pipe or a
    device is written to as it is.

    Raises:
        LmEvalError: It cannot be written.
    """
    real = Path(os.path.realpath(path))  # a link stays a link
    try:
        if real.exists() and not real.is_file() and not real.is_dir():
            with real.open("wb") as file:
                yield file
            return
        with _replacing(real) as file:
            yield file
    except OSError as error:
        raise LmEvalError(f"cannot write {path}: {error.strerror or error}") from error


@contextmanager
def standard_output() -> Iterator[BinaryIO]:
    """Standard output as bytes; a reader that leaves (``| head``) ends the writing, and no more."""
    stream: BinaryIO = getattr(sys.stdout, "buffer", None) or io.BytesIO()  # it was closed
    try:
        yield stream
        stream.flush()
    except BrokenPipeError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())  # what is buffered goes there when Python ends
        os.close(null)


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    descriptor, temporary = tempfile.mkstemp(
        prefix=f".{path.name}.", suffix=".tmp", dir=path.parent
    )
    try:
        with open(descriptor, "wb", buffering=1 << 18) as file:  # noqa: PTH123 - a descriptor
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105 - Path.replace is the same call
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108 - likewise
        raise
