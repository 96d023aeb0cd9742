"""Disks that refuse, lose and fill up, and processes that are killed at any call to one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import orjson
import pytest

from conftest import rows
from support import faults
from support.fake_openai import FakeOpenAI, Reply
from support.faults import EIO, ENOSPC, EVER, KILL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

COUNT = 4


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return faults.library(tmp_path_factory.mktemp("faults"))


def answered(directory: Path) -> set[tuple[str, str]]:
    """Sample and question of all answers that are anywhere in a run directory."""
    found = set()
    for name in ("run_results.jsonl", "superseded_results.jsonl"):
        if (directory / name).exists():
            for line in (directory / name).read_bytes().splitlines():
                try:
                    row = orjson.loads(line)
                except orjson.JSONDecodeError:  # torn by the kill
                    continue
                found.add((row["sample_id"], row["request_messages"][-1]["content"]))
    return found


def state_of(directory: Path) -> str:
    state: str = orjson.loads((directory / "run_metadata.json").read_bytes())["state"]
    return state


def ids(directory: Path) -> list[str]:
    return [row["sample_id"] for row in rows(directory / "run_results.jsonl")]


WHOLE = [f"s{n}" for n in range(COUNT)]
LEAST_CALLS, MOST_CALLS = 10, 50
STEP = 3
PARTS = pytest.mark.parametrize("part", range(STEP))


def numbers_of(part: int) -> range:
    """Every third call to the disk, beyond the last that a run makes."""
    return range(1 + part, STEP * MOST_CALLS, STEP)


@PARTS
def test_a_kill_at_any_call_to_the_disk_leaves_what_the_same_command_goes_on_with(
    part: int, library: Path, tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    orders = [
        {
            "run": f"run-{at}",
            "until_alive": True,
            "faults": [["any", f"/run-{at}", at, 1, KILL], None],
        }
        for at in numbers_of(part)
    ]
    ended = list(faults.forks(library, tmp_path, make_dataset(COUNT), *orders))
    assert LEAST_CALLS < len(ended) < len(orders), "every call of a run was met"
    for order, (first, second) in zip(orders, ended, strict=False):
        directory = tmp_path / str(order["run"])
        assert first["code"] in {-9, 0}, first["said"]
        assert second["code"] == 0, (order, second["said"])
        assert (ids(directory), state_of(directory)) == (WHOLE, "complete")
        assert not list(directory.glob("*.tmp"))


@PARTS
def test_a_kill_at_any_call_loses_no_answer_to_questions_of_before(
    part: int, library: Path, tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    before = make_dataset(COUNT)
    edited = make_dataset(COUNT, name="edited", s0="anew", s1="anew", s2="anew")
    (edited / "metadata.json").write_bytes((before / "metadata.json").read_bytes())
    (made,) = faults.forks(library, tmp_path, before, {"run": "first", "faults": [None]})
    assert made[0]["code"] == 0
    old = answered(tmp_path / "first")
    for at in numbers_of(part):
        shutil.copytree(tmp_path / "first", tmp_path / f"run-{at}")
    orders = [
        {
            "run": f"run-{at}",
            "dataset": str(edited),
            "until_alive": True,
            "faults": [["any", f"/run-{at}", at, 1, KILL]],
        }
        for at in numbers_of(part)
    ]
    ended = list(faults.forks(library, tmp_path, edited, *orders))
    assert LEAST_CALLS < len(ended) < len(orders), "every call of a run was met"
    numbers = numbers_of(part)[: len(ended)]
    for at in numbers:
        assert old <= answered(tmp_path / f"run-{at}"), at
    back = [{"run": f"run-{at}", "faults": [None]} for at in numbers]
    for order, (last,) in zip(back, faults.forks(library, tmp_path, before, *back), strict=True):
        assert last["code"] == 0, last["said"]
        assert old <= answered(tmp_path / str(order["run"]))
        assert ids(tmp_path / str(order["run"])) == WHOLE


def test_a_sync_that_is_refused_once_is_told_and_nothing_is_called_safe(
    library: Path, tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    orders = [
        {"run": f"run-{at}", "faults": [["fsync", f"/run-{at}", at, 1, EIO], None]}
        for at in range(1, 12)
    ]
    ended = list(faults.forks(library, tmp_path, make_dataset(COUNT), *orders))
    refused = [first for first, _ in ended if first["code"] != 0]
    assert 5 <= len(refused) < len(orders), "every sync of a run was refused once"
    for first in refused:
        assert first["code"] == 2
        assert "Input/output error" in first["said"]
        assert "safe" not in first["said"]
        assert "\n" not in first["said"]
    for order, (first, second) in zip(orders, ended, strict=True):
        assert second["code"] == 0, second["said"]
        directory = tmp_path / str(order["run"])
        assert (ids(directory), state_of(directory)) == (WHOLE, "complete"), first


@pytest.mark.parametrize(
    ("call", "error"),
    [
        *(
            (call, EIO)
            for call in ("write", "open", "rename", "ftruncate", "read", "unlink", "mkdir")
        ),
        *((call, ENOSPC) for call in ("write", "open")),
    ],
)
@pytest.mark.parametrize("times", [1, EVER], ids=["once", "for-ever"])
def test_whatever_is_refused_is_a_sentence_and_the_same_command_goes_on(
    call: str,
    error: int,
    times: int,
    library: Path,
    tmp_path: Path,
    make_dataset: Callable[..., Path],
) -> None:
    torn = tmp_path / "torn"
    dataset = make_dataset(COUNT)
    (made,) = faults.forks(library, tmp_path, dataset, {"run": "torn", "faults": [None]})
    assert made[0]["code"] == 0
    results = torn / "run_results.jsonl"
    results.write_bytes(results.read_bytes()[:-100])  # to be mended: ftruncate
    orders = []
    for at in (1, 2, 4, 9):
        shutil.copytree(torn, tmp_path / f"run-{at}")
        for run in (f"run-{at}", f"new-{at}"):
            which = f"/{run}/run_" if call == "unlink" else f"/{run}"
            orders.append({"run": run, "faults": [[call, which, at, times, error], None]})
    ended = list(faults.forks(library, tmp_path, dataset, *orders))
    for order, (first, second) in zip(orders, ended, strict=True):
        assert first["code"] in {0, 2}, first["said"]
        assert "\n" not in first["said"]
        assert second["code"] == 0, (order, second["said"])
        assert ids(tmp_path / str(order["run"])) == WHOLE


HALF_A_LINE = """
import resource, signal, sys
from pathlib import Path
from lm_eval_so.runner.errors import StoreError
from lm_eval_so.runner.store.results import ResultsFile
from support.results import result

def line(number):
    return result(f"s{number}").model_dump_json().encode()

file = ResultsFile(Path(sys.argv[1]))
file.append(line(0))
resource.setrlimit(resource.RLIMIT_FSIZE, (len(line(0)) + 300, resource.RLIM_INFINITY))
try:
    file.append(line(1))
except StoreError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
file.append(line(2))
file.append(line(3))
print([found.sample_id for found in file.scan()])
"""


def test_a_part_of_a_line_that_cannot_be_taken_back_costs_no_other_line(
    library: Path, tmp_path: Path
) -> None:
    path = tmp_path / "run_results.jsonl"
    fault = faults.environment(library, "ftruncate", path.name, 1, EVER, EIO)
    done = subprocess.run(
        [sys.executable, "-c", HALF_A_LINE, str(path)],
        env={**os.environ, **fault, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    said, found = done.stdout.splitlines()
    assert said.startswith(f"cannot write {path}: File too large")
    assert found == "['s0', 's2', 's3']"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for some hundred results."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=300k", "none", str(folder)]
    if (
        not shutil.which("mount")
        or subprocess.run(command, check=False, capture_output=True).returncode
    ):
        pytest.skip("needs to mount a small tmpfs, as root can")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_one_sentence_also_in_the_metadata_and_room_is_all_it_takes(
    small_disk: Path,
    make_dataset: Callable[..., Path],
    command: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    run = small_disk / "run"
    arguments = ["backend=simulated", "model=m", "dataset=path", f"output_dir={run}"]
    arguments += [f"dataset.path={make_dataset(500)}", "backend.options.latency_ms=0"]
    full = command(*arguments)
    assert full.returncode == 2, full.stderr
    assert "Traceback" not in full.stderr
    assert full.stderr.count("No space left on device") == 1
    metadata = orjson.loads((run / "run_metadata.json").read_bytes())
    assert metadata["state"] == "aborted"
    assert "No space left on device" in metadata["reason"]
    kept = rows(run / "run_results.jsonl")
    assert 50 < len(kept) < 500
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    whole = command(*arguments)
    assert whole.returncode == 0, whole.stderr
    assert state_of(run) == "complete"
    lines = {row["sample_id"]: row for row in rows(run / "run_results.jsonl")}
    assert len(lines) == 500
    assert all(lines[row["sample_id"]] == row for row in kept)


@pytest.mark.parametrize("call", ["open", "write"])
def test_a_disk_without_room_for_another_file_is_told_in_the_one_that_is_there(
    call: str, library: Path, tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    """Only the first metadata finds room; without a quota or a small disk of one's own."""
    fault = [call, "/run_metadata.json.", 2, EVER, ENOSPC]
    order = {"run": "run", "faults": [fault]}
    ((ended,),) = faults.forks(library, tmp_path, make_dataset(COUNT), order)
    assert ended["code"] == 0, ended["said"]
    metadata = orjson.loads((tmp_path / "run" / "run_metadata.json").read_bytes())
    assert metadata["state"] == "complete"
    assert metadata["summary"]["status_counts"] == {"ok": COUNT}


def test_a_refused_sync_ends_the_command_with_one_sentence(
    library: Path,
    make_dataset: Callable[..., Path],
    command: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    arguments = ["backend=simulated", "model=m", "dataset=path", "output_dir=run"]
    arguments += [f"dataset.path={make_dataset(4)}", "backend.options.latency_ms=0"]
    refused = command(
        *arguments, env=faults.environment(library, "fsync", "run_results.jsonl", 1, 1, EIO)
    )
    assert refused.returncode == 2
    said = [line for line in refused.stderr.splitlines() if "INFO" not in line]
    assert len(said) == 1, refused.stderr
    assert "Input/output error" in said[0]
    assert "safe" not in said[0]
    assert command(*arguments).returncode == 0


def test_a_sync_that_is_refused_while_a_run_goes_on_stops_it(
    library: Path,
    server: FakeOpenAI,
    make_dataset: Callable[..., Path],
    command: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    server.behave = lambda _received, _nth: Reply(latency=0.2)
    arguments = ["backend=openai", "model=m", "dataset=path", "output_dir=run"]
    arguments += [f"dataset.path={make_dataset(200)}", "runner.max_concurrency=4"]
    fault = faults.environment(library, "fsync", "run_results.jsonl", 1, 1, EIO)
    refused = command(*arguments, env={**server.env, **fault})
    assert refused.returncode == 2, refused.stderr
    assert len(server.requests) < 200
    assert len(ids(tmp_path / "run")) == len(server.requests), "what was received is in the file"
