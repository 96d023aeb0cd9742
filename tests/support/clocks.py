"""Processes whose wall clock or monotonic clock is another one."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

_SOURCE = Path(__file__).with_name("wall_clock.c")


class WallClock:
    """A wall clock that can be set; the monotonic clock is the system's.

    Args:
        folder: For its files.
        ahead: Seconds.
    """

    def __init__(self, folder: Path, ahead: float = 0.0) -> None:
        self._ahead = folder / "wall-clock-is-ahead"
        self._library = folder / "wall-clock.so"
        if shutil.which("cc") is None:
            pytest.skip("there is no C compiler here")
        words = ["cc", "-shared", "-fPIC", "-o", str(self._library), str(_SOURCE)]
        subprocess.run(words, check=True, capture_output=True)
        self.set(ahead)

    def set(self, ahead: float) -> None:
        """What the clock is ahead from now on, in seconds."""
        written = self._ahead.with_suffix(".new")
        written.write_text(str(ahead))
        written.replace(self._ahead)

    @property
    def env(self) -> dict[str, str]:
        """What a process needs in its environment to have this clock."""
        return {"LD_PRELOAD": str(self._library), "WALL_CLOCK_AHEAD": str(self._ahead)}


def monotonic_clock(ahead: int) -> list[str]:
    """What to put before a command whose monotonic clock is ahead, as on another host."""
    words = ["unshare", "--user", "--map-root-user", "--time", "--fork", "--kill-child"]
    words += ["--monotonic", str(ahead), "--boottime", str(ahead)]
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare here")
    tried = subprocess.run([*words, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"time namespaces are not allowed here: {tried.stderr.strip()}")
    return words
