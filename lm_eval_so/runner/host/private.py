"""Files of ours, which hold prompts and answers: who may read them, and that they are no links."""

import os
from contextvars import ContextVar
from pathlib import Path

_NO_LINKS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_private: ContextVar[bool] = ContextVar("_private", default=True)


def make_private(private: bool) -> None:  # noqa: FBT001 - it is what is said
    """From here on files are readable by their owner alone; if not, as the umask says."""
    _private.set(private)


def file_mode() -> int:
    """Of a new file."""
    return 0o600 if _private.get() else 0o666


def make_directory(path: Path) -> None:
    """Makes a directory that holds prompts and answers, with those around it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(exist_ok=True, mode=0o700 if _private.get() else 0o777)


def open_own(path: Path | str, flags: int) -> int:
    """A descriptor of a file of ours, made if there is none; a link in its place is refused.

    Who may write into a directory could otherwise have us write into any file of ours.
    """
    return os.open(path, flags | os.O_CREAT | _NO_LINKS, file_mode())
