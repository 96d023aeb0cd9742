"""Lines to samples, one at a time."""

import hashlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple

from pydantic import ValidationError

from lm_eval_so.runner.config.messages import explain
from lm_eval_so.runner.dataset import hints
from lm_eval_so.runner.dataset.numbers import odd_number
from lm_eval_so.runner.dataset.source import Stamp, open_samples, stamp_of
from lm_eval_so.runner.errors import DatasetError
from lm_eval_so.runner.models import TestSample

_BOM = b"\xef\xbb\xbf"
_LINES_A_LOOK = 16
"""Lines that are read between two looks at whether the file has changed."""


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What the first pass over a dataset found.

    Attributes:
        count: Samples.
        sha256: Over the lines that are not blank, each with one newline, so that neither blank
            lines nor compression change it.
        stamp: Of the file when it was opened.
    """

    count: int
    sha256: str
    stamp: Stamp = field(compare=False)


class Line(NamedTuple):
    """A line that is not blank; ``number`` counts from 1."""

    number: int
    text: bytes


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The file of samples, whose faults are told as the dataset's.

    Raises:
        DatasetError: The file cannot be read.
    """
    try:
        with open_samples(path) as file:
            yield file
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DatasetError(f"dataset {path} cannot be read: {reason}") from error


def lines_of(file: IO[bytes]) -> Iterator[Line]:
    """The lines that are not blank."""
    for number, line in enumerate(file, start=1):
        text = line.removeprefix(_BOM).strip()  # joined files bring one each
        if text:
            yield Line(number, text)


def read_lines(path: Path) -> Iterator[Line]:
    """The lines that are not blank.

    Raises:
        DatasetError: The file cannot be read.
    """
    with opened(path) as file:
        yield from lines_of(file)


def parse_sample(line: Line) -> TestSample:
    """The sample of a line.

    Raises:
        ValueError: What is wrong with the line, in one sentence.
    """
    try:
        sample = TestSample.model_validate_json(line.text)
    except ValidationError as error:
        raise ValueError(_sentence(error, line.text)) from error
    fault = odd_number(line.text, sample) or hints.not_sent(sample.model_extra or {})
    if fault:
        raise ValueError(fault)
    return sample


def _sentence(error: ValidationError, text: bytes) -> str:
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return hints.of_encoding(text) or hints.of_json(text, first["ctx"]["error"])
    return explain(error, known=(), whole="a sample") + hints.of_sample(text)


def read_samples(path: Path) -> Iterator[TestSample]:
    """The samples of a file that `check` has passed.

    Raises:
        DatasetError: The file has changed since, and a line is no sample any more.
    """
    return (_sample(path, line) for line in read_lines(path))


def read_checked(path: Path, checked: Checked) -> Iterator[TestSample]:
    """The samples that `check` has counted and hashed, these and no others.

    A file that was replaced or changed meanwhile is hashed again before any more of it is read.

    Raises:
        DatasetError: The file holds something else by now.
    """
    digest, count, stamp = Digest(), 0, checked.stamp
    with opened(path) as file:
        for line in lines_of(file):
            if count % _LINES_A_LOOK == 0:
                now = stamp_of(file)
                if now != stamp and _digest(path) != checked.sha256:
                    break
                stamp = now
            count += 1
            if count > checked.count:
                break
            digest.add(line)
            yield _known(path, line)
        else:
            if digest.hex() == checked.sha256:
                return
    raise DatasetError(
        f"dataset {path} has changed since it was checked: nothing more of it is asked, and the "
        "same command reads it anew"
    )


class Digest:
    """SHA-256 over the lines that are not blank, each with one newline."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()

    def add(self, line: Line) -> None:
        """Takes the next line."""
        self._sha256.update(line.text)
        self._sha256.update(b"\n")

    def hex(self) -> str:
        """Of all lines so far."""
        return self._sha256.hexdigest()


def _digest(path: Path) -> str:
    digest = Digest()
    for line in read_lines(path):
        digest.add(line)
    return digest.hex()


def _known(path: Path, line: Line) -> TestSample:
    """A sample of which all has been checked before."""
    try:
        return TestSample.model_validate_json(line.text)
    except ValidationError:
        return _sample(path, line)  # it has not


def _sample(path: Path, line: Line) -> TestSample:
    try:
        return parse_sample(line)
    except ValueError as error:
        raise DatasetError(f"{path}:{line.number}: {error}") from error
