"""Lines to samples, one at a time."""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from lm_eval_so.runner.config.sentences import explain
from lm_eval_so.runner.dataset import hints
from lm_eval_so.runner.dataset.numbers import odd_number
from lm_eval_so.runner.dataset.source import open_samples
from lm_eval_so.runner.errors import DatasetError
from lm_eval_so.runner.models import TestSample

_BOM = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """A line that is not blank; ``number`` counts from 1."""

    number: int
    text: bytes


def read_lines(path: Path) -> Iterator[Line]:
    """The lines that are not blank.

    Raises:
        DatasetError: The file cannot be read.
    """
    try:
        with open_samples(path) as file:
            for number, line in enumerate(file, start=1):
                text = line.removeprefix(_BOM).strip()  # joined files bring one each
                if text:
                    yield Line(number, text)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DatasetError(f"dataset {path} cannot be read: {reason}") from error


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
    for line in read_lines(path):
        try:
            yield parse_sample(line)
        except ValueError as error:
            raise DatasetError(f"{path}:{line.number}: {error}") from error
