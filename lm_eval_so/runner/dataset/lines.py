"""Text files of any encoding, line by line."""

import codecs
from collections.abc import Iterator
from io import TextIOWrapper
from typing import IO

from lm_eval_so.runner.dataset.hints import encoding_of
from lm_eval_so.runner.errors import DatasetError

_BOM = "\ufeff"
_UTF_8 = "utf-8"
_WIDE = ("utf-16", "utf-32")


def is_utf_8(encoding: str | None) -> bool:
    """Whether a config names UTF-8, with a BOM or without, or nothing."""
    return encoding is None or codecs.lookup(encoding).name in (_UTF_8, "utf-8-sig")


def text_lines(file: IO[bytes], encoding: str | None, name: str) -> Iterator[str]:
    """The lines of the file with their ends, without a BOM.

    Raises:
        DatasetError: A line is in another encoding; says which one it may be.
    """
    known = _UTF_8 if encoding is None else codecs.lookup(encoding).name
    lines = _wide if known.startswith(_WIDE) else _narrow
    is_first = True
    for line in lines(file, encoding or _UTF_8, name):
        yield line.removeprefix(_BOM) if is_first else line
        is_first = False


def _narrow(file: IO[bytes], encoding: str, name: str) -> Iterator[str]:
    """Of encodings in which a line break is the byte that it is in ASCII."""
    for number, line in enumerate(file, start=1):
        try:
            yield line.decode(encoding)
        except UnicodeDecodeError as error:
            place = f"{name}:{number}"
            if not is_utf_8(encoding):
                raise DatasetError(f"{place}: not {encoding}: {error.reason}") from error
            looks = encoding_of(line)
            raise DatasetError(
                f"{place}: not UTF-8 (looks like {looks}); type dataset.encoding={looks.lower()}"
            ) from error


def _wide(file: IO[bytes], encoding: str, name: str) -> Iterator[str]:
    text = TextIOWrapper(file, encoding=encoding, newline="")
    try:
        yield from text
    except UnicodeError as error:
        raise DatasetError(f"{name}: not {encoding}: {error}") from error
    finally:
        if not file.closed:  # by who has read enough
            text.detach()  # or it would close the file
