"""Indexes of results files, kept between two commands.

They stand in the user's folder for caches: ``view`` changes nothing in the folders that it shows,
which may be read-only, or somebody else's.
"""

import hashlib
import os
import secrets
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from lm_eval_so.report.kept_index import read_index, write_index
from lm_eval_so.report.run_index import RunIndex
from lm_eval_so.runner.host.private import make_directory, open_own

_WORTH_IT = 2_000
"""Lines; fewer are read anew at once."""
_GROWN = 1.25
"""An index that has grown by this factor is written anew."""
_UNUSED_S = 30 * 24 * 3600.0
_SUFFIX, _TEMPORARY = ".index", ".tmp"


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Where indexes are kept on this system; None where nobody has a home."""
    with suppress(RuntimeError):
        if sys.platform == "win32":
            base = Path(environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        elif sys.platform == "darwin":
            base = Path.home() / "Library" / "Caches"
        else:
            base = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return base / "lm-eval-so" / "view" if base.is_absolute() else None
    return None


class Sidecar:
    """Keeps the index of one results file. What cannot be read or written is left out.

    Args:
        folder: Where it is kept; made when it is needed.
        run_dir: The run directory, with all links resolved.
    """

    def __init__(self, folder: Path | None, run_dir: Path) -> None:
        self._run_dir = run_dir
        name = hashlib.sha256(os.fsencode(run_dir)).hexdigest()[:32]
        self._path = folder and folder / f"{name}{_SUFFIX}"
        self._written = 0

    def read(self) -> RunIndex | None:
        """The index, if it is that of the results file as it is, or of its beginning."""
        if self._path is None:
            return None
        with suppress(OSError), self._path.open("rb") as file:
            index = read_index(self._run_dir, file)
            if index is not None:
                self._written = len(index)
                os.utime(self._path)
            return index
        return None

    def keep(self, index: RunIndex, *, is_final: bool) -> None:
        """Writes the index where that is worth it.

        Args:
            index: Of the results file.
            is_final: Whether nothing writes to it any more.
        """
        lines, wanted = len(index), self._written * (1 if is_final else _GROWN)
        if self._path is None or lines < _WORTH_IT or lines == self._written or lines < wanted:
            return
        with suppress(OSError):
            make_directory(self._path.parent)
            self._replace(self._path, index)
            self._written = lines
            _prune(self._path.parent)

    def forget(self) -> None:
        """The results file is another one from here on."""
        self._written = 0

    @staticmethod
    def _replace(path: Path, index: RunIndex) -> None:
        temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}{_TEMPORARY}")
        try:
            with open(open_own(temporary, os.O_WRONLY | os.O_EXCL), "wb") as file:  # noqa: PTH123 - a descriptor
                write_index(index, file)
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise


def _prune(folder: Path) -> None:
    """Removes what was not used for a month, and what a killed process left."""
    before = time.time() - _UNUSED_S
    for path in folder.iterdir():
        if path.suffix in {_SUFFIX, _TEMPORARY} and path.stat().st_mtime < before:
            path.unlink(missing_ok=True)
