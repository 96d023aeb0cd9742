"""The folder that Hydra insists on for the files of a sweep: gone when the process ends."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

_scratch: str | None = None


def scratch_dir(beside: str = ".") -> str:
    """The folder of this process; made when it is first asked for.

    Args:
        beside: Where it is made if no temporary folder can be written. Other temporary files of
            this process and its children then go there too.
    """
    global _scratch  # noqa: PLW0603 - one a process
    if _scratch is None:
        try:
            _scratch = tempfile.mkdtemp(prefix="lm-eval-so-")
        except FileNotFoundError:  # none of the folders that Python tries
            folder = Path(beside).expanduser().absolute()
            folder.mkdir(parents=True, exist_ok=True)
            _scratch = tempfile.mkdtemp(prefix=".scratch-", dir=folder)
            tempfile.tempdir = os.environ["TMPDIR"] = _scratch
        atexit.register(shutil.rmtree, _scratch, ignore_errors=True)
    return _scratch


def made_scratch_dir() -> Path | None:
    """The folder of this process, if it was ever asked for."""
    return None if _scratch is None else Path(_scratch)


def share_scratch_dir(folder: Path) -> None:
    """In a launcher's process: use the folder of the whole sweep, which others remove."""
    global _scratch  # noqa: PLW0603 - as above
    _scratch = str(folder)
