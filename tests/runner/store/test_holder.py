"""The holder's file alone, as where no lock of one host is seen by another."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from lm_eval_so.runner.errors import RunDirectoryBusyError, StoreError
from lm_eval_so.runner.store.holder import Holder, holder_of
from support.patience import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOLD = """
import sys
from pathlib import Path
from lm_eval_so.runner.store.holder import Holder

holder = Holder(Path(sys.argv[1]))
holder.claim()
print("claimed", flush=True)
sys.stdin.read()
holder.release()
"""


class WatchedError(Exception):
    """It was not clear at once that the former holder has ended."""


def watched(_: float) -> None:
    raise WatchedError


def no_time(_: float) -> None:
    """Looks come one upon the other: no heartbeat is quick enough to be seen."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".lock.holder"


@contextmanager
def claimed(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the directory."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "claimed\n"
        yield process
        process.kill()


def left_by(path: Path, **changed: object) -> dict[str, Any]:
    """Leaves a file of a process that was killed just now, with other values."""
    with claimed(path) as process:
        process.kill()
    kept: dict[str, Any] = json.loads(path.read_text()) | changed
    path.write_text(json.dumps(kept))
    return kept


def test_a_holder_with_a_heartbeat_refuses_another_within_moments(path: Path) -> None:
    with claimed(path) as process:
        began = time.monotonic()
        with pytest.raises(RunDirectoryBusyError, match=rf"\(pid {process.pid} on host .+\)"):
            Holder(path, sleep=lambda _: time.sleep(2)).claim()  # more looks than it needs
        assert time.monotonic() - began < 30
        found = holder_of(path)
        assert found is not None
        assert found.pid == process.pid, "the file is still the other's"


def test_a_holder_that_ended_is_no_obstacle(path: Path) -> None:
    with claimed(path) as process:
        process.communicate(timeout=100)
    assert not path.exists()
    Holder(path, sleep=watched).claim()


def test_a_process_of_this_host_that_was_killed_is_known_to_be_gone(path: Path) -> None:
    left_by(path)
    Holder(path, sleep=watched).claim()


def test_one_that_was_killed_is_gone_though_its_parent_has_not_noticed(path: Path) -> None:
    with claimed(path) as process:
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        Holder(path, sleep=watched).claim()


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"host": "elsewhere", "boot": "another"}, id="of-another-host"),
        pytest.param({"boot": None, "namespace": None, "began": None}, id="of-a-silent-host"),
        pytest.param({"namespace": "pid:[1]"}, id="of-another-container"),
        pytest.param({"boot": "another"}, id="of-before-a-reboot"),
    ],
)
def test_what_cannot_be_seen_from_here_is_watched_and_then_replaced(
    path: Path, changed: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    left = left_by(path, **changed)
    with pytest.raises(WatchedError):
        Holder(path, sleep=watched).claim()
    looks: list[float] = []
    holder = Holder(path, sleep=looks.append)
    holder.claim()
    holder.check()
    assert sum(looks) == 5
    assert f"(pid {left['pid']} on host {left['host']})" in caplog.text


def test_a_pid_that_another_process_has_by_now_is_not_the_holder(path: Path) -> None:
    left_by(path, pid=os.getpid())
    Holder(path, sleep=watched).claim()


@pytest.mark.parametrize(
    "text", [b"", b"4276", b"{", b"\0" * 300, b"[]", b"x" * 9000], ids=lambda text: text[:5]
)
def test_a_damaged_file_is_watched_and_then_replaced(path: Path, text: bytes) -> None:
    path.write_bytes(text)
    with pytest.raises(WatchedError):
        Holder(path, sleep=watched).claim()
    Holder(path, sleep=no_time).claim()
    assert json.loads(path.read_bytes())["pid"] == os.getpid()


def test_a_file_that_is_damaged_in_the_meantime_is_written_anew(path: Path) -> None:
    holder = Holder(path)
    holder.claim()
    path.write_bytes(b"\0" * 10)
    holder.check()
    wait_for(lambda: holder_of(path) is not None)
    holder.check()


def test_a_later_version_may_add_to_the_file(path: Path) -> None:
    left_by(path, boot="another", more=[1])
    found = holder_of(path)
    assert found is not None
    assert found.boot == "another"


def test_the_heartbeat_goes_on_by_itself(path: Path) -> None:
    with claimed(path):
        beats = set[str]()

        def beat() -> bool:
            found = holder_of(path)
            assert found is not None
            beats.add(found.heartbeat)
            return len(beats) > 2

        wait_for(beat)


def test_one_whose_place_was_taken_knows_at_the_next_check(path: Path) -> None:
    one, other = Holder(path), Holder(path, sleep=no_time)
    one._ended.set()  # it has no heartbeat
    one.claim()
    one.check()
    other.claim()
    with pytest.raises(
        RunDirectoryBusyError, match=rf"\(pid {os.getpid()} on host .+\) now writes"
    ):
        one.check()
    one.release()
    other.check()
    other.release()
    assert not path.exists()


def test_one_who_was_stopped_gives_way_when_it_goes_on(path: Path) -> None:
    with claimed(path) as process:
        os.kill(process.pid, signal.SIGSTOP)
        other = Holder(path, sleep=no_time)
        other.claim()
        os.kill(process.pid, signal.SIGCONT)
        time.sleep(1.5)  # more than one of its heartbeats
        other.check()
        process.communicate(timeout=100)
    other.check()


def test_of_many_that_begin_at_once_one_is_left(path: Path) -> None:
    ready, go = path.with_name("ready"), path.with_name("go")
    patient = "(Path(sys.argv[1]), sleep=lambda _: __import__('time').sleep(3))"
    code = HOLD.replace("(Path(sys.argv[1]))", patient).replace(
        "holder.claim()",
        f"open({str(ready)!r}, 'a').write('.')\n"
        f"while not __import__('os').path.exists({str(go)!r}): pass\n"
        "try:\n    holder.claim()\nexcept Exception: sys.exit(3)",
    )
    words = [sys.executable, "-c", code, str(path)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(words, **pipes) for _ in range(4)]
    try:
        wait_for(lambda: ready.is_file() and ready.stat().st_size == 4)
        go.touch()
        wait_for(lambda: sum(one.poll() == 3 for one in processes) == 3)
        (left,) = (one for one in processes if one.poll() is None)
        assert left.stdout is not None
        assert left.stdout.readline() == "claimed\n"
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_a_file_that_is_gone_is_told(path: Path) -> None:
    holder = Holder(path)
    holder.claim()
    path.unlink()
    with pytest.raises(RunDirectoryBusyError, match="is gone"):
        holder.check()
    time.sleep(1.2)  # longer than to the next heartbeat
    assert not path.exists()
    holder.release()


def test_a_link_in_its_place_is_not_followed(path: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    path.symlink_to(tmp_path / "precious")
    with pytest.raises(StoreError):
        Holder(path).claim()
    assert (tmp_path / "precious").read_text() == "mine"


def test_only_its_owner_reads_the_file(path: Path) -> None:
    Holder(path).claim()
    assert path.stat().st_mode & 0o777 == 0o600
