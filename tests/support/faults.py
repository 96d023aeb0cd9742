"""Disks that fail on order: see ``faults.c``."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_HERE = Path(__file__).parent
KILL = 0
EIO, ENOSPC = errno.EIO, errno.ENOSPC
EVER = 10**6


@cache
def library(folder: Path) -> Path:
    """The library, compiled into a folder; the test is skipped where that cannot be done."""
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("needs a C compiler, and Linux")
    made = folder / "faults.so"
    command = [
        compiler,
        "-shared",
        "-fPIC",
        "-O1",
        "-o",
        str(made),
        str(_HERE / "faults.c"),
        "-ldl",
    ]
    subprocess.run(command, check=True, timeout=60)
    return made


def environment(
    made: Path, call: str, path: str, at: int, times: int, error: int
) -> dict[str, str]:
    """What a process needs in its environment to meet the fault."""
    return {"LD_PRELOAD": str(made), "FAULT": f"{call},{path},{at},{times},{error}"}


def forks(made: Path, folder: Path, dataset: Path, *orders: dict[str, Any]) -> Iterator[Any]:
    """Runs in forks of one process, each with faults of its own; see ``faulty_runs.py``.

    Yields:
        For each order a list of ``{"code": ..., "said": ...}``, one a command.
    """
    done = subprocess.run(
        [sys.executable, str(_HERE / "faulty_runs.py"), str(folder), str(dataset)],
        input=json.dumps(orders),
        env={**os.environ, "LD_PRELOAD": str(made)},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    yield from map(json.loads, done.stdout.splitlines())
