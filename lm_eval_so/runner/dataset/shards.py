"""A dataset is cut into shards: ranges of samples that are read apart from each other."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import islice

from lm_eval_so.runner.dataset.base import Pass, Place, Reader, opened_at, seekable
from lm_eval_so.runner.dataset.plain import PlainSample
from lm_eval_so.runner.dataset.reader import Checked, Digest, changed, read_lazily
from lm_eval_so.runner.dataset.sample import json_text
from lm_eval_so.runner.errors import DatasetError
from lm_eval_so.runner.models import TestSample


@dataclass(frozen=True, slots=True)
class Shard:
    """The samples at the positions [first, first + count) of a dataset.

    Attributes:
        first: Position of the first, from 0.
        count: Samples.
        place: Where the first is; None if the dataset has to be read from its beginning: it cannot
            be sought, or an id in the shard counts the same contents before it.
        sha256: Of its records, as `Checked.sha256` is of all.
    """

    first: int
    count: int
    place: Place | None
    sha256: str


def cut(reader: Reader, count: int, size: int, sha256: str | None = None) -> list[Shard]:
    """Cuts a dataset that `check` has passed into shards of ``size`` samples; the last may be less.

    Reads the dataset once more. Lines of JSON are hashed, not parsed.

    Args:
        reader: Reads the dataset.
        count: Samples, as the check found.
        size: Samples a shard, at least 1.
        sha256: What the check found, if it is to be compared.

    Raises:
        DatasetError: The dataset holds something else than what was checked.
    """
    whole = Digest()
    with reader.opened() as reading:
        firsts = range(0, count, size)
        shards = [_next(reading, first, min(size, count - first), whole) for first in firsts]
        is_end = next(reading.records, None) is None
    is_same = sha256 is None or whole.hex() == sha256
    if is_end and is_same and sum(shard.count for shard in shards) == count:
        return shards
    raise changed(reader)


def read_shard(
    reader: Reader, shard: Shard, skip: int = 0, stamp: object = None
) -> Iterator[TestSample | PlainSample]:
    """The samples of a shard but the first ``skip``, lazily as those of `read_lazily`.

    Where the stamp of the dataset is another than the one given, and when it changes later, the
    shard is hashed before more of it is read. Its digest is also verified at its end, with that of
    the samples that are skipped. What stands outside of the shard is not looked at: if it can be
    sought, it is not even read.

    Args:
        reader: Reads the dataset.
        shard: One that `cut` made.
        skip: Samples at the beginning that are not wanted; they are not parsed.
        stamp: That of the dataset when it was cut; None if it is not known.

    Raises:
        DatasetError: The shard holds something else than when it was cut.
    """
    checked = Checked(count=shard.count, sha256=shard.sha256, stamp=stamp)
    return read_lazily(_Range(reader, shard), checked, skip)


class _Range:
    """A `Reader` of the records of one shard."""

    def __init__(self, reader: Reader, shard: Shard) -> None:
        self._reader = reader
        self._shard = shard

    @property
    def name(self) -> str:
        return self._reader.name

    def opened(self) -> AbstractContextManager[Pass]:
        return self._opened(self._shard.place if seekable(self._reader) else None)

    @contextmanager
    def _opened(self, place: Place | None) -> Iterator[Pass]:
        before = self._shard.first if place is None else 0
        with opened_at(self._reader, place) as reading:
            records = islice(reading.records, before, before + self._shard.count)
            yield reading._replace(records=records)


def _next(reading: Pass, first: int, size: int, whole: Digest) -> Shard:
    """The shard of the next records, of which there may be fewer; hashes them twice."""
    digest, count, place, follows = Digest(), 0, None, False
    for record in islice(reading.records, size):
        if not count:
            place = reading.place()
        count += 1
        follows |= record.follows
        try:
            text = json_text(record)
        except ValueError as error:
            raise DatasetError(f"{record.where}: {error}") from error
        digest.add(text)
        whole.add(text)
    return Shard(first, count, None if follows else place, digest.hex())
