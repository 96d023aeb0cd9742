"""Where an export goes: a file that is whole or absent, or a stream."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from lm_eval_so.runner.errors import LmEvalError
from lm_eval_so.runner.host.private import open_own
from lm_eval_so.runner.store.files import name_beside, remove_of_the_killed


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """An empty file that takes the name, and the place of an older one, if nothing is raised.

    As for the other files with prompts and answers, `make_private` says who can read it. What a
    killed process has left of the same file is removed. A pipe or a device is written to as it is.

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
def made(folder: Path) -> Iterator[None]:
    """A folder that is there; a new one goes again if nothing has come into it.

    Raises:
        LmEvalError: It cannot be made.
    """
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LmEvalError(f"cannot write {folder}: {error.strerror}") from error
    try:
        yield
    finally:
        if is_new:
            with suppress(OSError):  # it is not empty
                folder.rmdir()


@contextmanager
def standard_output() -> Iterator[BinaryIO]:
    """Standard output as bytes; a reader that leaves (``| head``) ends the writing, and no more.

    Raises:
        LmEvalError: It cannot be written.
    """
    stream: BinaryIO = getattr(sys.stdout, "buffer", None) or io.BytesIO()  # it was closed
    try:
        yield stream
        stream.flush()
    except OSError as error:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())  # what is buffered goes there when Python ends
        os.close(null)
        if not isinstance(error, BrokenPipeError):
            raise LmEvalError(f"cannot write to standard output: {error.strerror}") from error


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    remove_of_the_killed(path)
    temporary = name_beside(path)
    temporary.unlink(missing_ok=True)  # also if it is a link
    descriptor = open_own(temporary, os.O_WRONLY | os.O_TRUNC)
    try:
        with open(descriptor, "wb", buffering=1 << 18) as file:  # noqa: PTH123 - a descriptor
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
