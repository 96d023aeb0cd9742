"""A process that forks a merge for each call to the disk at which it is killed, and one after it.

Its arguments are the directories: the parts, the one to merge into, and a copy of how that one is
before; it may be missing. Prints for each kill, as a line of JSON, the exit code of the second
merge and what files it left; and last, of a merge that nothing has killed, the same.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import sys
import traceback
from pathlib import Path

from lm_eval_so.merge.cli import main as merge

BUG = 70
library = ctypes.CDLL(os.environ["LD_PRELOAD"])


def command(arguments: list[str], kill_at: int | None) -> int:
    """The exit code of a merge in a process of its own."""
    pid = os.fork()
    if not pid:
        code = BUG
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            if kill_at is not None:
                library.fault(b"any", f"{arguments[-1]}/".encode(), kill_at, 1, 0)
            code = merge(arguments)
        except BaseException:  # noqa: BLE001 - told to the test
            traceback.print_exc()
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def left(to: Path) -> dict[str, str]:
    """The files that are not about the moment; hidden ones are the lock."""
    found = {}
    for path in sorted(to.iterdir()):
        if not path.name.startswith("."):
            found[path.name] = path.read_text()
    metadata = json.loads(found["run_metadata.json"])
    metadata["summary"]["wall_time_s"] = 0
    spent = json.loads(found["merged.json"])
    spent["before"] = None
    return {
        **found,
        "run_metadata.json": json.dumps(metadata),
        "merged.json": json.dumps(spent),
    }


def main(parts: list[str], to: Path, before: Path) -> None:
    arguments = [*parts, "--to", str(to)]
    kill_at, first = 0, -1
    while first < 0:
        kill_at += 1
        shutil.rmtree(to, ignore_errors=True)
        if before.exists():
            shutil.copytree(before, to)
        first = command(arguments, kill_at)
        code = command(arguments, None) if first < 0 else first
        print(json.dumps({"code": code, "left": left(to)}), flush=True)  # noqa: T201 - its answer


if __name__ == "__main__":
    *directories, target, copy = sys.argv[1:]
    main(directories, Path(target), Path(copy))
