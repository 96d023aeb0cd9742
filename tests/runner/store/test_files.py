"""A file that is replaced is whole at all times, whoever else replaces it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

WRITER = """
import sys
from pathlib import Path
from lm_eval_so.runner.store.files import replace_file
for n in range(100):
    replace_file(Path(sys.argv[1]), [sys.argv[2].encode() * 5000], several_writers=True)
"""


def test_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "sweep.json"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), letter]) for letter in "abc"
    ]
    while any(writer.poll() is None for writer in writers):
        assert not path.exists() or len(set(path.read_bytes())) == 1
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert list(tmp_path.iterdir()) == [path]
    assert len(path.read_bytes()) == 5000
