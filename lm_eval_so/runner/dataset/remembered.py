"""What a check found, kept for the next command as long as the files are the same."""

import hashlib
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from glob import escape
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from lm_eval_so._version import __version__
from lm_eval_so.runner.config.schema import DatasetConfig
from lm_eval_so.runner.dataset.base import Reader, Stamp
from lm_eval_so.runner.dataset.check import check
from lm_eval_so.runner.dataset.plain import PlainSample
from lm_eval_so.runner.dataset.reader import Checked, read_lazily
from lm_eval_so.runner.errors import DatasetError
from lm_eval_so.runner.host.private import make_directory, open_own
from lm_eval_so.runner.models import TestSample
from lm_eval_so.runner.models.value import Value

_SCHEMA_VERSION = 1
_SETTLED_NS = 2_000_000_000
"""A file that is younger may change once more within one tick of its file system's clock."""


class _Remembered(Value):
    """The file: what was found, and of what."""

    schema_version: Literal[1]
    key: str
    count: Annotated[int, Field(ge=1)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class CheckMemory:
    """Remembers the check of one dataset, so that the next command need not repeat it.

    It holds for the same files (by path, device, inode, size and time), the same config and the
    same release. It is a convenience: what cannot be read or written is ignored without a word.
    The digest is verified whenever the samples are read, so a wrong memory is found out.

    Args:
        folder: Where it is kept; made when it is needed, if its parent is there.
        config: How the files become samples.
        paths: The files; of none, nothing is remembered.
        now: Nanoseconds since the epoch.
    """

    def __init__(
        self,
        folder: Path,
        config: DatasetConfig,
        paths: Sequence[Path],
        *,
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        self._what = config, [os.path.realpath(path) for path in paths]
        self._is_of_files = bool(paths)
        self._path = folder / f"{_digest(self._what)[:32]}.json"
        self._now = now
        self._new: Checked | None = None

    def check(self, reader: Reader) -> Checked:
        """What `check` found of these files, or finds now.

        Raises:
            DatasetError: As `check`.
        """
        if not self._is_of_files:
            return check(reader)
        found = self._remembered()
        if found is not None:
            with reader.opened() as reading:
                stamp = reading.stamp()
            if found.key == self._key(stamp):
                return Checked(count=found.count, sha256=found.sha256, stamp=stamp)
        began = self._now()
        checked = check(reader)
        if checked.is_repeatable and _is_settled(checked.stamp, began):
            self._new = checked
        return checked

    def keep(self) -> None:
        """Writes down what `check` found, if that is new and may be remembered."""
        if self._new is None or not self._path.parent.parent.is_dir():
            return
        found = _Remembered(
            schema_version=_SCHEMA_VERSION,
            key=self._key(self._new.stamp),
            count=self._new.count,
            sha256=self._new.sha256,
        )
        with suppress(OSError):
            make_directory(self._path.parent)
            self._replace(found.model_dump_json().encode())

    def read(self, reader: Reader, checked: Checked) -> Iterator[TestSample | PlainSample]:
        """`read_lazily`; forgets the check when the dataset holds something else."""
        try:
            yield from read_lazily(reader, checked)
        except DatasetError:
            with suppress(OSError):
                self._path.unlink()
            raise

    def _remembered(self) -> _Remembered | None:
        try:
            return _Remembered.model_validate_json(self._path.read_bytes())
        except (OSError, ValueError):
            return None

    def _key(self, stamp: object) -> str:
        return _digest((_SCHEMA_VERSION, __version__, self._what, stamp))

    def _replace(self, content: bytes) -> None:
        """Writes the file in one step; a command that writes it at the same moment may win."""
        for abandoned in self._path.parent.glob(f"{escape(self._path.name)}.*.tmp"):
            abandoned.unlink(missing_ok=True)
        temporary = self._path.with_name(f"{self._path.name}.{secrets.token_hex(8)}.tmp")
        with open(open_own(temporary, os.O_WRONLY | os.O_EXCL), "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(content)
        temporary.replace(self._path)


def _is_settled(stamp: object, now_ns: int) -> bool:
    """Whether the files are old enough for their times to tell them from later ones."""
    stamps = stamp if isinstance(stamp, list) else [stamp]
    return all(isinstance(one, Stamp) and one.modified_ns <= now_ns - _SETTLED_NS for one in stamps)


def _digest(value: object) -> str:
    return hashlib.sha256(repr(value).encode(errors="backslashreplace")).hexdigest()
