"""Where a dataset is, and what its metadata says."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from lm_eval_so.runner.config.schema import DatasetConfig
from lm_eval_so.runner.dataset.base import Reader
from lm_eval_so.runner.dataset.registry import reader_of, suffix_of, suffixes
from lm_eval_so.runner.errors import DatasetError

METADATA = "metadata.json"
_SAMPLES = "test"  # name of the samples' file in a directory, without its suffix
_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISDIR, "a directory"),
)


@dataclass(frozen=True, kw_only=True)
class DatasetSource:
    """Where the samples are, and what ``metadata.json`` says of them.

    Attributes:
        reader: Reads the samples.
        path: The file that it reads.
        id: ``dataset_id`` (or ``id``) of the metadata, else the name of the directory or file.
        version: ``version`` of the metadata.
        metadata: All of ``metadata.json``; empty where there is none.
    """

    reader: Reader
    path: Path
    id: str
    name: str
    version: str | None
    metadata: dict[str, Any]

    @property
    def location(self) -> str:
        """The absolute path of the samples, with all links resolved."""
        return os.path.realpath(self.path)


def locate(config: DatasetConfig) -> DatasetSource:
    """Finds the samples and reads the metadata.

    Raises:
        DatasetError: A file is missing, or the metadata is not a JSON object.
    """
    given = config.path
    samples = _in_directory(given) if given.is_dir() else _file(given)
    metadata = _metadata(config.metadata, samples.with_name(METADATA))
    identity = str(metadata.get("dataset_id") or metadata.get("id") or _default_id(given, samples))
    version = metadata.get("version")
    return DatasetSource(
        reader=reader_of(samples),
        path=samples,
        id=identity,
        name=str(metadata.get("name") or identity),
        version=None if version is None else str(version),
        metadata=metadata,
    )


def _in_directory(directory: Path) -> Path:
    candidates = [directory / f"{_SAMPLES}{suffix}" for suffix in suffixes()]
    found = next((path for path in candidates if path.exists()), None)
    if found is None:
        raise DatasetError(f"{directory} has no {_either([path.name for path in candidates])}")
    _check_regular(found, "a dataset is read twice")
    return found


def _file(path: Path) -> Path:
    if not path.exists():
        raise DatasetError(f"dataset {path} does not exist")
    _check_regular(path, "a dataset is read twice")
    if suffix_of(path) is None:
        raise DatasetError(
            f"dataset {path} is neither a directory nor a {_either(suffixes())} file"
        )
    return path


def _default_id(given: Path, samples: Path) -> str:
    if given.is_dir():
        return given.resolve().name
    named = samples.name.removesuffix(suffix_of(samples) or "")
    return given.resolve().parent.name if named == _SAMPLES else named


def _either(names: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _check_regular(path: Path, why: str) -> None:
    """Refuses a pipe, a socket or a device before it is opened, which could wait forever."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        kind = next((name for is_kind, name in _KINDS if is_kind(mode)), "a device")
        raise DatasetError(f"{path} is {kind}, not a regular file: {why}; save it as a file first")


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
        raise DatasetError(f"{path}:{error.lineno}: not valid JSON: {error.msg}") from error
    if not isinstance(metadata, dict):
        raise DatasetError(f"{path}: metadata must be a JSON object, got {type(metadata).__name__}")
    return metadata
