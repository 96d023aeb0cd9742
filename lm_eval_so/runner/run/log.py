"""Logs go to stderr, and to ``run.log`` in the run directory."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from copy import copy
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from textwrap import indent
from typing import Any, TextIO

from lm_eval_so.runner.host.private import open_own
from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.masking.visible import visible, visible_lines

LOG = "run.log"
_INDENT = "    "
_ROOT = logging.getLogger("lm_eval_so")
_FORMAT = "%(asctime)s %(levelname)s %(message)s"


class RedactingFormatter(logging.Formatter):
    """Takes secrets out of messages and tracebacks; what others say cannot look like a line."""

    def __init__(self, redactor: Redactor, fmt: str = _FORMAT) -> None:
        super().__init__(fmt)
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        own = copy(record)
        own.exc_text = None  # what another handler has left there
        return super().format(own)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        return visible(self._redactor.own_text(super().formatMessage(record)))

    def formatException(self, ei: Any) -> str:  # noqa: ANN401, N802 - logging's own
        text = self._redactor.text(super().formatException(ei))
        return indent(visible_lines(text), _INDENT)


class _FileFormatter(RedactingFormatter):
    """Says the zone of its times: files of several hosts are read side by side."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's name
        del datefmt
        moment = datetime.fromtimestamp(record.created, UTC).astimezone()
        return moment.isoformat(sep=" ", timespec="milliseconds")


class _SentenceFormatter(RedactingFormatter):
    """Leaves tracebacks to ``run.log``: a person reads the sentence."""

    def format(self, record: logging.LogRecord) -> str:
        bare = copy(record)
        bare.exc_info = bare.exc_text = bare.stack_info = None
        return super().format(bare)


class StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to what ``sys.stderr`` is now: a progress bar puts itself in its place."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        """The stream of this moment."""
        return sys.stderr


class _QuietFileHandler(logging.FileHandler):
    """A full disk ends the run with one sentence from the store, not with one per log line.

    A link in the place of the file is not followed: nothing is logged then.
    """

    def _open(self) -> TextIOWrapper:
        flags = os.O_WRONLY | os.O_APPEND
        descriptor = open_own(self.baseFilename, flags)
        return open(descriptor, "a", encoding="utf-8", errors="backslashreplace")  # noqa: PTH123 - a descriptor; logging closes it

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):  # it cannot be opened
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        del record


@contextmanager
def run_log(directory: Path, redactor: Redactor) -> Iterator[None]:
    """Appends to ``run.log`` while the context lasts."""
    handler = _QuietFileHandler(directory / LOG, encoding="utf-8", delay=True)
    handler.setFormatter(_FileFormatter(redactor))
    _ROOT.addHandler(handler)
    try:
        yield
    finally:
        _ROOT.removeHandler(handler)
        handler.close()


@contextmanager
def show_log(level: str, redactor: Redactor, *, quiet: bool = False) -> Iterator[None]:
    """Shows log lines of this level and above on stderr while the context lasts.

    ``quiet`` keeps what is less than a warning to ``run.log``.
    """
    handler = StderrHandler()
    handler.setLevel(logging.WARNING if quiet else logging.NOTSET)
    handler.setFormatter(_SentenceFormatter(redactor))
    _ROOT.addHandler(handler)
    _ROOT.setLevel(level)
    _ROOT.propagate = False
    try:
        yield
    finally:
        _ROOT.removeHandler(handler)
        _ROOT.propagate = True
