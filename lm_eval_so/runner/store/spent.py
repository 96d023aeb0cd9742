"""``spent.json``: the usage of all commands of a run directory, with every attempt counted."""

import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import orjson
from pydantic import Field, TypeAdapter

from lm_eval_so.runner.errors import StoreError
from lm_eval_so.runner.host.private import open_own
from lm_eval_so.runner.store.files import unsynced, unwritable
from lm_eval_so.runner.store.version import check_version
from lm_eval_so.runner.summary.amount import Amount

_LOG = logging.getLogger(__name__)
SPENT = "spent.json"
_SCHEMA_VERSION = 1
# Numbers are padded, so that the length of the file stays the same. A token costs more than a
# billionth of a dollar.
_TEXT = b"""{
  "schema_version": 1,
  "requests": %19.0f,
  "tokens": %19.0f,
  "usd": %19.9f,
  "unpriced_input_tokens": %19.0f,
  "unpriced_output_tokens": %19.0f
}
"""
_Number = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]
_NUMBERS = TypeAdapter(dict[str, _Number])


class SpentFile:
    """The running total of one run directory. One process and one thread write to it.

    The file always has the same length and is overwritten in place with one system call. So an
    attempt costs about a microsecond, and a killed process leaves either the old total or the new
    one. The file is opened when the first total is written: a command that sends nothing does not
    change it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = -1
        self._length = 0  # of the file, in bytes
        self._waiting: Amount | None = None
        self._unsynced = False

    def read(self) -> Amount | None:
        """The total of earlier commands; None if there is none, or it is damaged.

        Raises:
            StoreError: The file cannot be read, or a newer version wrote it.
        """
        try:
            text = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"{self.path} cannot be read: {error.strerror}") from error
        try:
            return self._parse(text)
        except (ValueError, TypeError, KeyError, AttributeError):
            _LOG.warning(
                "%s is damaged: the usage of earlier commands is counted from the result lines",
                self.path,
            )
            return None

    def check_version(self) -> None:
        """Refuses what a newer release wrote.

        Raises:
            NewerVersionError: It did.
        """
        with suppress(OSError, ValueError, AttributeError):  # told by `read`
            version = orjson.loads(self.path.read_bytes()).get("schema_version")
            check_version(self.path, version, _SCHEMA_VERSION)

    def write(self, total: Amount) -> None:
        """Writes the total; when this returns, a crash of the process cannot lose it.

        Raises:
            StoreError: It cannot be written.
        """
        data = _TEXT % total
        try:
            if self._descriptor < 0:
                self._open()
            self._put(data)
            if len(data) < self._length:  # a file edited by hand may be longer
                os.ftruncate(self._descriptor, len(data))
        except OSError as error:
            raise unwritable(self.path, error) from error
        self._length = len(data)
        self._unsynced = True
        self._waiting = None

    def write_soon(self, total: Amount) -> None:
        """Writes the total with the next `write`, or at the next `flush`."""
        self._waiting = total

    def flush(self) -> None:
        """Writes the waiting total. If the disk refuses, the next `write` raises."""
        if self._waiting is not None:
            with suppress(StoreError):
                self.write(self._waiting)

    def sync(self) -> None:
        """Makes the total survive a power cut.

        Raises:
            StoreError: The disk refuses.
        """
        if not self._unsynced:
            return
        self._unsynced = False  # first: what is written meanwhile is synced the next time
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            self._unsynced = True
            raise unsynced(self.path, error) from error

    def close(self) -> None:
        """Writes the waiting total and closes the file."""
        self.flush()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor, self._unsynced = -1, False

    def _open(self) -> None:
        self._descriptor = open_own(self.path, os.O_WRONLY)
        self._length = os.fstat(self._descriptor).st_size

    def _put(self, data: bytes) -> None:
        at = 0
        while at < len(data):  # if only a part fits, the next call says why
            at += _write_at(self._descriptor, data[at:], at)

    def _parse(self, text: bytes) -> Amount:
        fields = orjson.loads(text)
        version = fields.pop("schema_version")
        check_version(self.path, version, _SCHEMA_VERSION)
        numbers = _NUMBERS.validate_python(fields)
        if version != _SCHEMA_VERSION or numbers.keys() != set(Amount._fields):
            raise ValueError(text)
        return Amount(**numbers)


def _write_at(descriptor: int, data: bytes, offset: int) -> int:
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.write(descriptor, data)


_write_at = getattr(os, "pwrite", _write_at)  # one call if the system has it; Windows does not
