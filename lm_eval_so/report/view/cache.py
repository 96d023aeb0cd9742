"""Files kept between two commands, in the user's folder for caches.

``view`` changes nothing in the folders that it shows, which may be read-only, or somebody else's.
What cannot be read or written here is made anew, without a word.
"""

import hashlib
import os
import secrets
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TypeVar

from lm_eval_so.runner.host.private import make_directory, open_own

T = TypeVar("T")

_PIECE = 1 << 20
_UNUSED_S = 30 * 24 * 3600.0
_TEMPORARY = ".tmp"
_SUFFIXES = frozenset({".index", ".page", _TEMPORARY})
_SUM = 4  # bytes of the checksum that a file begins with
_DAMAGED = (
    *(ValueError, LookupError, TypeError, AttributeError),
    *(EOFError, ArithmeticError, MemoryError, RecursionError),
)
"""What reading raises where a file is not as we write it."""


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Where they are kept on this system; None where nobody has a home."""
    with suppress(RuntimeError):
        if sys.platform == "win32":
            base = Path(environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        elif sys.platform == "darwin":
            base = Path.home() / "Library" / "Caches"
        else:
            base = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return base / "lm-eval-so" / "view" if base.is_absolute() else None
    return None


def cached_path(folder: Path, run_dirs: Iterable[Path], suffix: str) -> Path:
    """The file about these run directories."""
    name = hashlib.sha256(b"\0".join(map(os.fsencode, run_dirs))).hexdigest()
    return folder / f"{name[:32]}{suffix}"


def read_cached(path: Path, read: Callable[[BinaryIO], T | None]) -> T | None:
    """What ``read`` makes of a file; None where there is none, or a damaged one."""
    with suppress(OSError, *_DAMAGED), path.open("rb") as file:
        if file.read(_SUM) != _sum_of(file):
            return None
        file.seek(_SUM)
        found = read(file)
        with suppress(OSError):
            os.utime(path)  # it is used
        return found
    return None


def write_cached(path: Path, write: Callable[[BinaryIO], object]) -> bool:
    """Writes a file, complete or not at all; says whether it is there."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}{_TEMPORARY}")
    try:
        make_directory(path.parent)
        try:
            with open(open_own(temporary, os.O_RDWR | os.O_EXCL), "w+b") as file:  # noqa: PTH123 - a descriptor
                file.write(bytes(_SUM))
                write(file)
                file.seek(_SUM)
                checksum = _sum_of(file)
                file.seek(0)
                file.write(checksum)
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        _prune(path.parent)
    except OSError:
        return False
    return True


def _prune(folder: Path) -> None:
    """Removes what was not used for a month, and what a killed process left."""
    before = time.time() - _UNUSED_S
    with suppress(OSError):  # another process may do the same
        for path in folder.iterdir():
            if path.suffix in _SUFFIXES and path.stat().st_mtime < before:
                path.unlink(missing_ok=True)


def _sum_of(file: BinaryIO) -> bytes:
    """The checksum of what is left of a file."""
    found = 0
    while piece := file.read(_PIECE):
        found = zlib.crc32(piece, found)
    return found.to_bytes(_SUM, "little")
