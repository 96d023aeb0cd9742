from __future__ import annotations

import os
import subprocess
import sys
from socket import gethostname
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.runner.errors import RunDirectoryBusyError, StoreError
from lm_eval_so.runner.store.lock import DirectoryLock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOLD = """
import sys
from pathlib import Path
from lm_eval_so.runner.store.lock import DirectoryLock

with DirectoryLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds ``run`` until its stdin ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_process_is_refused_with_the_pid_of_the_first(
    holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    words = rf"run is in use by another process \(pid {holder.pid} on host {gethostname()}\); "
    with (
        pytest.raises(RunDirectoryBusyError, match=words),
        DirectoryLock(tmp_path / "run"),
    ):
        raise AssertionError
    assert holder.poll() is None


def test_being_refused_takes_nothing_from_the_holder(
    holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    for _ in range(3):
        with pytest.raises(RunDirectoryBusyError, match=f"pid {holder.pid}"):
            DirectoryLock(tmp_path / "run").__enter__()


def test_a_killed_process_holds_nothing(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    os.kill(holder.pid, 9)
    assert holder.wait(100) == -9
    with DirectoryLock(tmp_path / "run"):
        assert f'"pid":{os.getpid()},' in (tmp_path / "run" / ".lock.holder").read_text()


def test_a_process_that_is_done_lets_go(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    holder.communicate(timeout=100)
    assert holder.returncode == 0
    with DirectoryLock(tmp_path / "run"):
        pass


def test_one_process_cannot_hold_a_directory_twice(tmp_path: Path) -> None:
    with DirectoryLock(tmp_path):
        with pytest.raises(RunDirectoryBusyError, match=f"pid {os.getpid()}"):
            DirectoryLock(tmp_path).__enter__()
        assert (tmp_path / ".lock.holder").is_file()
    with DirectoryLock(tmp_path):
        pass


def test_an_exception_within_lets_go(tmp_path: Path) -> None:
    with pytest.raises(KeyError), DirectoryLock(tmp_path):
        raise KeyError
    with DirectoryLock(tmp_path):
        pass


def test_the_directory_is_made_with_its_parents(tmp_path: Path) -> None:
    with DirectoryLock(tmp_path / "a" / "b" / "c"):
        assert (tmp_path / "a" / "b" / "c").is_dir()


def test_different_directories_are_independent(
    holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    with DirectoryLock(tmp_path / "other"):
        assert holder.poll() is None


def test_a_directory_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot write .*file/run"):
        DirectoryLock(tmp_path / "file" / "run").__enter__()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("file", "file is not a directory"),
        ("file/run", "file is not a directory"),
        ("a/" * 100 + "b" * 256, "File name too long"),
        ("/dev/null", "/dev/null is not a directory"),
        ("/proc/x", "cannot write /proc/x: No such file or directory"),
    ],
    ids=["file", "below-a-file", "too-long", "device", "proc"],
)
def test_where_no_directory_can_be_another_one_is_the_way_out(
    tmp_path: Path, name: str, sentence: str
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError) as raised, DirectoryLock(tmp_path / name):
        pass
    assert sentence in str(raised.value)
    assert str(raised.value).endswith("; choose another output_dir or output_root")
