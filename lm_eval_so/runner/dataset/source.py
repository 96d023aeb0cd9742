"""The files of a dataset."""

import gzip
import io
import os
import stat
from pathlib import Path
from typing import IO, Any, NamedTuple

import orjson

from lm_eval_so.runner.config.schema import DatasetConfig
from lm_eval_so.runner.errors import DatasetError
from lm_eval_so.runner.models import Value

SAMPLES = "test.jsonl"
METADATA = "metadata.json"
_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISDIR, "a directory"),
)
_SUFFIXES = (".jsonl.gz", ".jsonl")


class DatasetSource(Value):
    """Where the samples are, and what ``metadata.json`` says of them.

    Attributes:
        id: ``dataset_id`` (or ``id``) of the metadata, else the name of the directory or file.
        version: ``version`` of the metadata.
        metadata: All of ``metadata.json``; empty where there is none.
    """

    path: Path
    id: str
    name: str
    version: str | None
    metadata: dict[str, Any]

    @property
    def location(self) -> str:
        """Where the samples are, from the root and with all links resolved."""
        return os.path.realpath(self.path)


class Stamp(NamedTuple):
    """What tells at a glance that an open file is as it was."""

    device: int
    inode: int
    size: int
    modified_ns: int


def locate(config: DatasetConfig) -> DatasetSource:
    """Finds the samples and reads the metadata.

    Raises:
        DatasetError: A file is missing, or the metadata is no JSON object.
    """
    samples, default_id, beside = _samples(config.path)
    metadata = _metadata(config.metadata, beside)
    identity = str(metadata.get("dataset_id") or metadata.get("id") or default_id)
    version = metadata.get("version")
    return DatasetSource(
        path=samples,
        id=identity,
        name=str(metadata.get("name") or identity),
        version=None if version is None else str(version),
        metadata=metadata,
    )


def open_samples(path: Path) -> IO[bytes]:
    """The lines of a ``.jsonl`` or ``.jsonl.gz`` file, as bytes."""
    if path.suffix == ".gz":
        return io.BufferedReader(gzip.open(path))
    return path.open("rb", buffering=1 << 18)


def stamp_of(file: IO[bytes]) -> Stamp:
    """The stamp that the file has now; of a compressed one, that of the file on the disk."""
    found = os.fstat(file.fileno())
    return Stamp(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def _samples(path: Path) -> tuple[Path, str, Path]:
    if path.is_dir():
        name = path.resolve().name
        for candidate in (path / SAMPLES, path / f"{SAMPLES}.gz"):
            if candidate.exists():
                _check_regular(candidate, "it is read twice")
                return candidate, name, path / METADATA
        raise DatasetError(f"{path} holds no {SAMPLES}")
    if not path.exists():
        raise DatasetError(f"dataset {path} does not exist")
    _check_regular(path, "it is read twice")
    suffix = next((suffix for suffix in _SUFFIXES if path.name.endswith(suffix)), None)
    if suffix is None:
        raise DatasetError(f"dataset {path} is neither a directory nor a .jsonl or .jsonl.gz file")
    named = path.name.removesuffix(suffix)
    default_id = path.resolve().parent.name if named == "test" else named
    return path, default_id, path.with_name(METADATA)


def _check_regular(path: Path, why: str) -> None:
    """Refuses a pipe, a socket or a device before it is opened, which could wait for ever."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        kind = next((name for is_kind, name in _KINDS if is_kind(mode)), "a device")
        raise DatasetError(f"{path} is {kind}, no regular file: {why}; write it to a file first")


def _metadata(named: Path | None, beside: Path) -> dict[str, Any]:
    if named is None and not beside.exists():
        return {}
    path = named or beside
    try:
        _check_regular(path, "it may never end")
        metadata = orjson.loads(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except OSError as error:
        raise DatasetError(f"metadata {path} cannot be read: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise DatasetError(f"{path}:{error.lineno}: no JSON: {error.msg}") from error
    if not isinstance(metadata, dict):
        raise DatasetError(f"{path}: metadata must be a JSON object, got {type(metadata).__name__}")
    return metadata
