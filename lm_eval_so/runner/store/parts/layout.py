"""The files of a run directory in parts: their names, what they hold, and how they are read.

``shards.json`` says how the dataset is cut, ``parts/`` has the lines of each lease and a marker
for each one that is sealed, and ``joined.json`` says where the parts are in ``run_results.jsonl``.
"""

import os
from bisect import bisect_right
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeVar

import msgspec

from lm_eval_so.runner.errors import StoreError
from lm_eval_so.runner.store.parts import PARTS, SHARDS
from lm_eval_so.runner.store.parts.lease import Range
from lm_eval_so.runner.store.results import RESULTS
from lm_eval_so.runner.store.version import check_version

JOINED = "joined.json"
JOINED_NEXT = "joined.next.json"
"""Written before the results file is replaced, and renamed after it."""
_PART, _MARKER = ".jsonl", ".done.json"
_FIRST_DIGITS, _EPOCH_DIGITS = 12, 6


class ShardRow(msgspec.Struct, frozen=True, array_like=True):
    """A range of positions, and the place at which reading it can begin (see `dataset.Place`).

    Without such a place ``file``, ``at`` and ``number`` are None: it is read from the beginning.

    Attributes:
        sha256: Of its samples as JSON text, in hex.
    """

    first: int
    count: int
    sha256: str
    file: int | None = None
    at: int | None = None
    number: int | None = None


class JoinedRow(msgspec.Struct, frozen=True, array_like=True):
    """A range of positions within ``run_results.jsonl``; it begins where the row before ends.

    Attributes:
        end: Byte behind its last line.
        lines: Its lines; ``ok`` of them have an answer.
        asked: Digest of the selection within the range; None if all was asked.
        owed: Questions of that selection without an answer.
    """

    first: int
    count: int
    end: int
    lines: int
    ok: int
    asked: str | None = None
    owed: int = 0


class _File(msgspec.Struct, frozen=True, kw_only=True):
    """A file whose version is checked; unknown fields are passed over.

    A version grows when a reader of today's would misread what is written.
    """

    VERSION: ClassVar[int] = 1

    schema_version: int = 1

    def to_json(self) -> bytes:
        """The text of the file."""
        return msgspec.json.encode(self) + b"\n"


class ShardsFile(_File, frozen=True, kw_only=True):
    """``shards.json``: how the dataset was cut.

    Attributes:
        dataset_sha256: Of the samples, in hex.
        stamp: Of the dataset's files, as JSON data: changes when they do.
        recipe: Digest of all that decides request keys beside the samples.
        repeats: Times that each sample is asked.
        samples: In the dataset.
        shards: In dataset order; they follow each other without a gap.
    """

    dataset_sha256: str
    stamp: Any
    recipe: str
    repeats: int
    samples: int
    shards: tuple[ShardRow, ...]

    def row_of(self, position: int) -> ShardRow:
        """The shard that a position is in."""
        return self.shards[bisect_right(self.shards, position, key=lambda row: row.first) - 1]

    @property
    def ranges(self) -> list[Range]:
        """What the shards cover, in dataset order."""
        return [Range(row.first, row.count) for row in self.shards]


class Marker(_File, frozen=True, kw_only=True):
    """``parts/<first>.done.json``: that a part is whole and in dataset order.

    Attributes:
        first, count: The positions of its samples.
        epoch: Of its lease; with ``first`` the name of the part.
        bytes: Size of the part; ``sha256``: of these bytes, in hex.
        lines: In the part; ``ok`` of them have an answer.
        asked: Digest of the selection within the shard; None if all was asked.
        owed: Questions of that selection without an answer.
        totals: `Totals.state` of its lines, as the JSON text that it is.
    """

    first: int
    count: int
    epoch: int
    bytes: int
    sha256: str
    lines: int
    ok: int
    asked: str | None = None
    owed: int = 0
    totals: msgspec.Raw = msgspec.Raw(b"null")

    @property
    def part(self) -> str:
        """Name of the part in ``parts/``."""
        return part_name(self.first, self.epoch)


class JoinedFile(_File, frozen=True, kw_only=True):
    """``joined.json``: what ``run_results.jsonl`` was made of.

    Attributes:
        size, modified_ns, inode: Of ``run_results.jsonl`` when it was joined.
        shards: In dataset order, from byte 0.
        totals: `Totals.state` of all lines, as the JSON text that it is.
    """

    size: int
    modified_ns: int
    inode: int
    shards: tuple[JoinedRow, ...]
    totals: msgspec.Raw = msgspec.Raw(b"null")

    def is_of(self, found: os.stat_result) -> bool:
        """Whether the results file is still the one that was joined."""
        state = found.st_size, found.st_mtime_ns, found.st_ino
        return state == (self.size, self.modified_ns, self.inode)


class PartsFound(NamedTuple):
    """What is in ``parts/``, by the names alone.

    Attributes:
        epochs: By the first position: the epochs of its parts, from the oldest.
        sealed: First positions that have a marker.
    """

    epochs: dict[int, list[int]]
    sealed: set[int]


def part_name(first: int, epoch: int) -> str:
    """Name in ``parts/`` of the lines of a lease."""
    return f"{first:0{_FIRST_DIGITS}d}-{epoch:0{_EPOCH_DIGITS}d}{_PART}"


def marker_name(first: int) -> str:
    """Name in ``parts/`` of the marker of what begins at this position."""
    return f"{first:0{_FIRST_DIGITS}d}{_MARKER}"


def part_of(name: str) -> tuple[int, int] | None:
    """First position and epoch of the part with this name; None of another name."""
    first, _, epoch = name.removesuffix(_PART).partition("-")
    is_part = name.endswith(_PART) and first.isdecimal() and epoch.isdecimal()
    return (int(first), int(epoch)) if is_part else None


def marker_of(name: str) -> int | None:
    """First position of what the marker with this name is of; None of another name."""
    first = name.removesuffix(_MARKER)
    return int(first) if name.endswith(_MARKER) and first.isdecimal() else None


def find_parts(run_dir: Path) -> PartsFound | None:
    """What ``parts/`` holds; None where there is no such folder. Other names are passed over.

    Raises:
        StoreError: It cannot be read.
    """
    epochs: dict[int, list[int]] = {}
    sealed: set[int] = set()
    try:
        names = os.listdir(run_dir / PARTS)  # noqa: PTH208 - names alone, of very many files
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{run_dir / PARTS} cannot be read: {error.strerror}") from error
    for name in names:
        if (part := part_of(name)) is not None:
            epochs.setdefault(part[0], []).append(part[1])
        elif (first := marker_of(name)) is not None:
            sealed.add(first)
    for found in epochs.values():
        found.sort()
    return PartsFound(epochs, sealed)


def read_shards(run_dir: Path) -> ShardsFile | None:
    """``shards.json``; None where there is none.

    Raises:
        NewerVersionError: A newer release wrote it.
        StoreError: It cannot be read, or is damaged.
    """
    return _read(run_dir / SHARDS, ShardsFile)


def read_joined(run_dir: Path) -> JoinedFile | None:
    """``joined.json``, as `read_shards`; None where it is not of the results file."""
    try:
        found = (run_dir / RESULTS).stat()
    except OSError:
        return None
    for name in (JOINED, JOINED_NEXT):  # a kill may have come before the second got its name
        joined = _read(run_dir / name, JoinedFile)
        if joined is not None and joined.is_of(found):
            return joined
    return None


def read_marker(run_dir: Path, first: int) -> Marker | None:
    """The marker of what begins at this position, as `read_shards`."""
    return _read(run_dir / PARTS / marker_name(first), Marker)


_AnyFile = TypeVar("_AnyFile", bound=_File)


def _read(path: Path, kind: type[_AnyFile]) -> _AnyFile | None:
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from error
    try:
        check_version(path, msgspec.json.decode(text, type=_Version).schema_version, kind.VERSION)
        return msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise StoreError(
            f"{path} is damaged ({error}); remove it and run the same command again"
        ) from error


class _Version(msgspec.Struct):
    schema_version: float
