from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import orjson
import pytest

from lm_eval_so.runner.errors import StoreError
from lm_eval_so.runner.store.files import replace_file, write_beside

if TYPE_CHECKING:
    from pathlib import Path

WRITE_AGAIN_AND_AGAIN = """
import sys, threading
from pathlib import Path
from lm_eval_so.runner.store.files import replace_file

def write(name):
    for number in range(100):
        replace_file(Path(sys.argv[1]), [b'{"by": "%s",' % name, b'"number": %d}' % number])

own = [threading.Thread(target=write, args=[f"{sys.argv[2]}-{n}".encode()]) for n in range(2)]
print("ready", flush=True)
sys.stdin.readline()
for thread in own:
    thread.start()
for thread in own:
    thread.join()
"""
KILLED = """
import os, sys
from pathlib import Path
from lm_eval_so.runner.store.files import write_beside

print(write_beside(Path(sys.argv[1]), [b"x"]).name, flush=True)
os.kill(os.getpid(), 9)
"""


def test_several_writers_of_one_file_are_in_nobodys_way(tmp_path: Path) -> None:
    path = tmp_path / "sweep.json"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITE_AGAIN_AND_AGAIN, str(path), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.flush()
    while any(writer.poll() is None for writer in writers):
        if path.exists():
            assert orjson.loads(path.read_bytes()).keys() == {"by", "number"}
    for writer in writers:
        _, errors = writer.communicate()
        assert (writer.returncode, errors) == (0, "")
    assert [found.name for found in tmp_path.iterdir()] == ["sweep.json"]


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "sweep.json"
    command = [sys.executable, "-c", KILLED, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == -9
    assert [found.name for found in tmp_path.iterdir()] == [done.stdout.strip()]
    replace_file(path, [b"{}"])
    assert [found.name for found in tmp_path.iterdir()] == ["sweep.json"]


@pytest.mark.parametrize(
    "name",
    ["sweep.json.elsewhere-1-1.tmp", "sweep.json.notes.tmp", "sweep.json.old", "other.json.tmp"],
)
def test_what_may_be_somebody_elses_is_left_alone(name: str, tmp_path: Path) -> None:
    path, other = tmp_path / "sweep.json", tmp_path / name
    other.write_text("")
    beside = write_beside(path, [b"mine"])
    replace_file(tmp_path / "third.json", [b""])
    assert beside.read_bytes() == b"mine"
    replace_file(path, [b"{}"])
    assert other.exists()


def test_what_cannot_be_made_leaves_nothing_behind(tmp_path: Path) -> None:
    def pieces() -> object:
        yield b"x" * 1_000_000
        raise KeyError

    with pytest.raises(KeyError):
        replace_file(tmp_path / "a.json", pieces())  # type: ignore[arg-type]
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match=r"cannot write .*folder: Is a directory"):
        replace_file(tmp_path / "folder", [b"x"])
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
