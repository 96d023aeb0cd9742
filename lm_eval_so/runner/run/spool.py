"""Samples from Python, put into a file, so that they are checked, sent and resumed as a dataset."""

import json
from collections.abc import AsyncIterable, Iterable, Iterator, Mapping
from hashlib import sha256
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NamedTuple, Self

from lm_eval_so.runner.config.run_path import safe_name
from lm_eval_so.runner.dataset.files import METADATA
from lm_eval_so.runner.dataset.reader import Digest
from lm_eval_so.runner.dataset.sample import parse_sample
from lm_eval_so.runner.errors import ConfigError, DatasetError
from lm_eval_so.runner.hash_index import HashIndex
from lm_eval_so.runner.host import event_loop
from lm_eval_so.runner.host.private import make_directory
from lm_eval_so.runner.models import TestSample
from lm_eval_so.runner.store.files import no_directory, replace_file, unwritable

Sample = Mapping[str, Any] | TestSample
Samples = Iterable[Sample] | AsyncIterable[Sample]
"""What `lm_eval_so.run` takes as ``samples``. A DataFrame counts by its rows."""

_FOLDER = ".samples"
_MOST_REPORTED = 10
_MISSING = {"NAType", "NaTType"}  # of pandas, which is not imported


class Given(NamedTuple):
    """Samples from Python.

    Attributes:
        samples: Read once, one at a time.
        dataset_id: Written into the ``metadata.json`` beside them.
        root: Where the folder of their file is made.
    """

    samples: Samples
    dataset_id: str
    root: Path

    def spooled(self) -> Path:
        """Writes them into ``<root>/.samples/<dataset id>/<SHA-256>.jsonl``, and returns the path.

        The same samples have the same path, so that the same call resumes.

        Raises:
            DatasetError: Up to ten that are not samples, each as ``samples[3]: what is wrong``.
            StoreError: The file cannot be written.
        """
        if isinstance(self.samples, AsyncIterable):
            return event_loop.run(self.spooled_async())
        with _Spool(self._folder) as spool:
            for sample in _rows(self.samples):
                spool.add(sample)
            return spool.finish(self.dataset_id)

    async def spooled_async(self) -> Path:
        """`spooled`, in a running event loop."""
        if not isinstance(self.samples, AsyncIterable):
            return self.spooled()
        with _Spool(self._folder) as spool:
            async for sample in self.samples:
                spool.add(sample)
            return spool.finish(self.dataset_id)

    @property
    def _folder(self) -> Path:
        """Named by the id itself, where that can be the name of a folder."""
        name = safe_name(self.dataset_id, 200)
        mark = sha256(self.dataset_id.encode()).hexdigest()[:8]
        return self.root / _FOLDER / (name if name == self.dataset_id else f"{name}-{mark}")


class _Spool:
    """Checks samples as they come; nothing has a name before the last one is there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._digest = Digest()
        self._positions = HashIndex()  # by id
        self._faults: list[str] = []
        self._count = 0

    def __enter__(self) -> Self:
        try:
            make_directory(self._folder)
            self._file = TemporaryFile(dir=self._folder)
        except OSError as error:
            raise no_directory(self._folder, error) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, sample: object) -> None:
        """Takes the next sample.

        Raises:
            DatasetError: Too many were none.
            StoreError: It cannot be written.
        """
        try:
            text = _as_json(sample)
            self._check_id(parse_sample(text).id)
            self._digest.add(text)
            self._file.write(text + b"\n")
        except OSError as error:
            raise unwritable(self._folder, error) from error
        except ValueError as error:
            self._faults.append(f"samples[{self._count}]: {error}")
            if len(self._faults) == _MOST_REPORTED:
                self._faults.append(f"stopped after {_MOST_REPORTED} errors")
                raise DatasetError("\n".join(self._faults)) from error
        self._count += 1

    def finish(self, dataset_id: str) -> Path:
        """Gives the file its name; leaves one of the same content alone.

        Raises:
            DatasetError: Some were no samples, or there were none.
        """
        if self._faults or not self._count:
            raise DatasetError("\n".join(self._faults) or "samples: there are none")
        path = self._folder / f"{self._digest.hex()}.jsonl"
        metadata = self._folder / METADATA
        if not metadata.exists():
            text = json.dumps({"dataset_id": dataset_id}, ensure_ascii=False)
            replace_file(metadata, [text.encode(), b"\n"])
        if not path.exists():
            self._file.seek(0)
            replace_file(path, self._file)
        return path

    def _check_id(self, sample_id: str) -> None:
        first = self._positions.setdefault(sample_id, self._count)
        if first == self._count or self._faults:  # the lines are no longer numbered like them
            return
        self._file.seek(0)
        line = next(islice(self._file, first, None))
        self._file.seek(0, 2)
        if parse_sample(line).id == sample_id:  # two ids can have one hash
            raise ValueError(f"duplicate id {sample_id!r}, first at samples[{first}]")


def _rows(samples: Any) -> Iterator[object]:  # noqa: ANN401 - told from other iterables by what it has
    """What the samples iterate over; of a DataFrame the rows, without what is missing in them."""
    single = isinstance(samples, str | bytes | Mapping | TestSample)
    if single or not hasattr(samples, "__iter__"):
        raise ConfigError(
            "samples must be a list or another iterable of samples, got "
            f"{type(samples).__name__}; a path is given as dataset, one sample as [sample]"
        )
    if hasattr(samples, "itertuples"):  # a DataFrame, which iterates over its columns
        names = [str(name) for name in samples.columns]
        for row in samples.itertuples(index=False, name=None):
            cells = zip(names, row, strict=True)
            yield {name: value for name, value in cells if not _is_missing(value)}
    else:
        yield from samples


def _is_missing(value: object) -> bool:
    is_nan = isinstance(value, float) and value != value  # noqa: PLR0124 - so is NaN known
    return value is None or is_nan or type(value).__name__ in _MISSING


def _as_json(sample: object) -> bytes:
    if isinstance(sample, TestSample):
        sample = sample.model_dump(exclude_unset=True)
    if not isinstance(sample, Mapping):
        raise ValueError(f"must be a dict or a TestSample, got {type(sample).__name__}")  # noqa: TRY004 - told with the others
    try:
        text = json.dumps(dict(sample), ensure_ascii=False, separators=(",", ":"), default=_plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"a value cannot be written as JSON: {error}") from error
    return text.encode()


def _plain(value: Any) -> object:  # noqa: ANN401 - whatever json does not know
    """Values of numpy as Python's own; times of day as text; mappings and sets as dicts and lists.

    Raises:
        TypeError: There is no such form.
    """
    for name in ("tolist", "isoformat"):
        if hasattr(value, name):
            return getattr(value, name)()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} is not a JSON value")
