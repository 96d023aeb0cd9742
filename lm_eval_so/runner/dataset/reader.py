"""Reads the samples of a dataset of any format, one at a time."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from lm_eval_so.runner.dataset.base import Reader
from lm_eval_so.runner.dataset.plain import PlainSample, whole
from lm_eval_so.runner.dataset.sample import json_text, parse_checked, parse_sample
from lm_eval_so.runner.errors import DatasetError
from lm_eval_so.runner.models import TestSample

_RECORDS_PER_LOOK = 16
"""Records between two checks whether the dataset has changed."""


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What the first pass over a dataset found.

    Attributes:
        count: Samples.
        sha256: Of the records as JSON text, each with one newline. In a JSON Lines file these are
            the lines that are not blank, so neither blank lines nor compression change it.
        stamp: The stamp of the dataset when it was opened.
        is_repeatable: Whether another check of the same records would find the same and say no
            more: no sample names a file, and there was no warning.
    """

    count: int
    sha256: str
    stamp: object = field(compare=False)
    is_repeatable: bool = field(default=False, compare=False)


def read_samples(reader: Reader) -> Iterator[TestSample]:
    """The samples of a dataset that `check` has passed.

    Raises:
        DatasetError: The dataset has changed since, and a record is no longer a sample.
    """
    with reader.opened() as reading:
        for record in reading.records:
            try:
                sample = parse_sample(json_text(record))
            except ValueError as error:
                raise DatasetError(f"{record.where}: {error}") from error
            yield sample


def read_checked(reader: Reader, checked: Checked) -> Iterator[TestSample]:
    """The samples that `check` has counted and hashed, and no others.

    Raises:
        DatasetError: As `read_lazily`.
    """
    return map(whole, read_lazily(reader, checked))


def read_lazily(
    reader: Reader, checked: Checked, skip: int = 0
) -> Iterator[TestSample | PlainSample]:
    """The samples of `read_checked`; those that are plain are made whole by who needs them.

    If the dataset has changed since, it is hashed again before more of it is read.

    Args:
        reader: Reads the dataset.
        checked: What the check found.
        skip: Samples at the beginning that are not wanted; they are hashed, and not parsed.

    Raises:
        DatasetError: The dataset holds something else now.
    """
    digest, count, stamp = Digest(), 0, checked.stamp
    with reader.opened() as reading:
        for record in reading.records:
            if count % _RECORDS_PER_LOOK == 0:
                now = reading.stamp()
                if now != stamp and _digest(reader) != checked.sha256:
                    break
                stamp = now
            count += 1
            if count > checked.count:
                break
            try:
                text = json_text(record)
                digest.add(text)
                if count <= skip:
                    continue
                sample = parse_checked(text)
            except ValueError as error:
                raise DatasetError(f"{record.where}: {error}") from error
            yield sample
        else:
            if digest.hex() == checked.sha256:
                return
    raise changed(reader)


def changed(reader: Reader) -> DatasetError:
    """The error of a dataset that holds something else than what was checked."""
    return DatasetError(
        f"dataset {reader.name} has changed since it was checked, so nothing more is sent; run the "
        "same command again to read the new version"
    )


class Digest:
    """SHA-256 of JSON texts, each with one newline."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()

    def add(self, text: bytes) -> None:
        """Adds the next text."""
        self._sha256.update(text + b"\n")  # one call: it costs more than the copy

    def hex(self) -> str:
        """The digest of all texts so far, in hex."""
        return self._sha256.hexdigest()


def _digest(reader: Reader) -> str | None:
    """The digest of the dataset now; None if a record cannot be read."""
    digest = Digest()
    with reader.opened() as reading:
        for record in reading.records:
            try:
                digest.add(json_text(record))
            except ValueError:
                return None
    return digest.hex()
