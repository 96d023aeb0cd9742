"""A dataset is cut into shards: ranges of samples that are read apart from each other."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Self

from lm_eval_so.runner.dataset.base import Pass, Place, Reader, seekable
from lm_eval_so.runner.dataset.onward import Onward
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
    """What a `ShardReader` of the dataset reads first."""
    with ShardReader(reader, stamp) as shards:
        yield from shards.read(shard, skip)


class ShardReader:
    """Reads shards of one dataset; to be closed, as it may keep a file open for the next shard.

    Of a dataset that can be sought, only the shards are read. Of another one, all of it is, but
    once only, as long as each shard begins behind the one before.

    Args:
        reader: Reads the dataset.
        stamp: That of the dataset when it was cut; None if it is not known.
    """

    def __init__(self, reader: Reader, stamp: object = None) -> None:
        self._reader = reader
        self._stamp = stamp
        self._onward = Onward(reader)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes what is open."""
        self._onward.close()

    def read(self, shard: Shard, skip: int = 0) -> Iterator[TestSample | PlainSample]:
        """The samples of a shard but the first ``skip``, lazily as those of `read_lazily`.

        Its digest is verified at its end, and where the dataset has another stamp than before, also
        at once. What stands outside of the shard is not looked at.

        Args:
            shard: One that `cut` made.
            skip: Samples at the beginning that are not wanted; they are hashed, and not parsed.

        Raises:
            DatasetError: The shard holds something else than when it was cut.
        """
        part = _Part(self._reader, self._onward, shard)
        checked = Checked(count=shard.count, sha256=shard.sha256, stamp=self._stamp)
        yield from read_lazily(part, checked, skip)
        self._stamp = part.stamp


class _Part:
    """A `Reader` of the records of one shard.

    Attributes:
        stamp: The last one of the dataset that was looked at.
    """

    def __init__(self, reader: Reader, onward: Onward, shard: Shard) -> None:
        self._reader = reader
        self._onward = onward
        self._shard = shard
        self.stamp: object = None

    @property
    def name(self) -> str:
        return self._reader.name

    @contextmanager
    def opened(self) -> Iterator[Pass]:
        with self._begun() as reading:

            def stamp() -> object:
                self.stamp = reading.stamp()
                return self.stamp

            yield Pass(islice(reading.records, self._shard.count), stamp)

    def _begun(self) -> AbstractContextManager[Pass]:
        place, found = self._shard.place, seekable(self._reader)
        if place is None or found is None:
            return self._onward.opened(self._shard.first)
        return found.opened_at(place)


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
