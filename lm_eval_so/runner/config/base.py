"""What all groups of the config are made of."""

import errno
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from lm_eval_so.runner.text.one_line import one_line
from lm_eval_so.runner.text.wording import Told

_LONGEST_SHOWN = 80  # characters of a path that cannot be
_IMPOSSIBLE = {
    errno.ENAMETOOLONG: "holds a name that is too long for the file system; most take 255 bytes, "
    "and UTF-8 needs three for a Korean letter",
    errno.ELOOP: "leads to a symbolic link that points back to itself",
    errno.ENOTDIR: "uses a file as if it were a folder",
    errno.EACCES: "leads through a folder that you have no permission to enter",
}
"""Errors of the system with which no file can be at a path, or made there."""


def at_home(path: Path) -> Path:
    """The path, with ``~`` as the home directory."""
    try:
        return path.expanduser()
    except RuntimeError:  # no such user: the path stays unchanged, as in a shell
        return path


def _not_empty(path: object) -> object:
    """Refuses an empty text, which as a path would be the working directory."""
    if isinstance(path, str) and not path.strip():
        raise ValueError("is empty; is a variable of the shell not set?")
    return path


def _possible(path: Path) -> Path:
    """Refuses a path where no file can be; none needs to be there."""
    shown = one_line(repr(str(path)), _LONGEST_SHOWN)
    try:
        str(path).encode()
        path.stat()
    except OSError as error:
        if fault := _IMPOSSIBLE.get(error.errno or 0):
            raise ValueError(f"{fault}, got {shown}") from error
    except ValueError as error:
        raise ValueError(f"holds NUL, or bytes that are not UTF-8, got {shown}") from error
    return path


UserPath = Annotated[
    Path, BeforeValidator(_not_empty), AfterValidator(at_home), AfterValidator(_possible)
]
"""A path as a person types it: ``~`` is the home directory."""


class Config(BaseModel, metaclass=Told):
    """A frozen group of the config; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)
