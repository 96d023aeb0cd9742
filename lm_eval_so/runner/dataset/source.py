"""Where a dataset is, and what its metadata says."""

import os
from dataclasses import dataclass, replace
from glob import has_magic
from pathlib import Path
from typing import Any

import orjson

from lm_eval_so.runner.config.schema import DatasetConfig
from lm_eval_so.runner.dataset.base import Reader
from lm_eval_so.runner.dataset.files import METADATA, SAMPLES, Files, check_regular, find
from lm_eval_so.runner.dataset.hints import not_utf_8
from lm_eval_so.runner.dataset.hub import HubReader, is_on_hub
from lm_eval_so.runner.dataset.joined import Joined
from lm_eval_so.runner.dataset.mapping.mapped import Mapped
from lm_eval_so.runner.dataset.media import WithFiles
from lm_eval_so.runner.dataset.registry import suffix_of
from lm_eval_so.runner.errors import DatasetError


@dataclass(frozen=True, kw_only=True)
class DatasetSource:
    """Where the samples are, and what ``metadata.json`` says of them.

    Attributes:
        reader: Reads the samples.
        path: The file that it reads; of several files, the directory or glob that names them.
        id: ``dataset_id`` (or ``id``) of the metadata, else the name of the directory or file.
        version: ``version`` of the metadata.
        metadata: All of ``metadata.json``; empty where there is none.
        on_hub: Names the split of a dataset that is no file.
        folder: Where the paths of files begin that samples name; that of the first file.
        files: All that hold samples, in order.
    """

    reader: Reader
    path: Path
    id: str
    name: str
    version: str | None
    metadata: dict[str, Any]
    on_hub: str | None = None
    folder: Path | None = None
    files: tuple[Path, ...] = ()

    @property
    def files_in(self) -> Path | None:
        """The ``folder``, if a sample that was read names a file; else None."""
        named = isinstance(self.reader, WithFiles) and self.reader.found_any
        return self.folder if named else None

    @property
    def location(self) -> str:
        """The absolute path of the samples, with all links resolved; on a hub, what names them."""
        return self.on_hub or os.path.realpath(self.path)


def locate(config: DatasetConfig) -> DatasetSource:
    """Finds the samples and reads the metadata.

    Raises:
        DatasetError: A file is missing, or the metadata is not a JSON object.
    """
    if is_on_hub(config.path):
        on_hub = HubReader(config)
        metadata = _metadata(config.metadata, None)
        reader = WithFiles(Mapped(on_hub, config), None, allow_outside=False)
        found = _source(config.path, reader, metadata, str(config.path))
        return replace(found, on_hub=on_hub.location)
    files = find(config.path)
    metadata = _metadata(config.metadata, files.paths[0].with_name(METADATA))
    path = files.paths[0] if len(files.paths) == 1 else config.path
    found = _source(path, _reader(files, config), metadata, _default_id(config.path, files))
    return replace(found, folder=files.paths[0].parent, files=tuple(files.paths))


def _source(path: Path, reader: Reader, metadata: dict[str, Any], default: str) -> DatasetSource:
    identity = str(metadata.get("dataset_id") or metadata.get("id") or default)
    version = metadata.get("version")
    return DatasetSource(
        reader=reader,
        path=path,
        id=identity,
        name=str(metadata.get("name") or identity),
        version=None if version is None else str(version),
        metadata=metadata,
    )


def _reader(files: Files, config: DatasetConfig) -> Reader:
    readers = [files.format.reader(path, config) for path in files.paths]
    one = readers[0] if len(readers) == 1 else Joined(str(config.path), files.paths, readers)
    folder = files.paths[0].parent
    return WithFiles(Mapped(one, config), folder, allow_outside=config.allow_outside)


def _default_id(given: Path, files: Files) -> str:
    """The name of the directory or of the file; of a glob, that of the directory of its files."""
    first = files.paths[0]
    if given.is_dir():
        return given.resolve().name
    named = first.name.removesuffix(suffix_of(first) or "")
    in_folder = named == SAMPLES or (has_magic(str(given)) and not given.exists())
    return first.resolve().parent.name if in_folder else named


def _metadata(named: Path | None, beside: Path | None) -> dict[str, Any]:
    path = named or beside
    if path is None or (named is None and not path.exists()):
        return {}
    try:
        check_regular(path, "it may never end")
        text = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
        if sentence := not_utf_8(text):
            raise DatasetError(f"{path}: {sentence}; save it as UTF-8")
        if not text.strip():
            raise DatasetError(f"{path}: is empty; remove it, or write {{}} into it")
        metadata = orjson.loads(text)
    except OSError as error:
        raise DatasetError(f"metadata {path} cannot be read: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise DatasetError(f"{path}:{error.lineno}: not valid JSON: {error.msg}") from error
    if not isinstance(metadata, dict):
        raise DatasetError(f"{path}: metadata must be a JSON object, got {type(metadata).__name__}")
    return metadata
