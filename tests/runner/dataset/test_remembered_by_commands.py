"""Commands remember the check of a dataset, also beside each other and when they are killed."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from lm_eval_so import ChatResponse, RunConfig, RunReport
from lm_eval_so.runner.config.schema import DatasetConfig, RunPlan
from lm_eval_so.runner.errors import DatasetError
from lm_eval_so.runner.run.prepare import prepare
from lm_eval_so.runner.run.run import Run
from support.backends import Sends
from support.checked_place import COUNT, Place, sample, spoil, write

if TYPE_CHECKING:
    from pathlib import Path

    from lm_eval_so import RunRequest

KEEP = """
import sys
from pathlib import Path
from lm_eval_so.runner.config.schema import DatasetConfig
from lm_eval_so.runner.dataset.remembered import CheckMemory
from lm_eval_so.runner.dataset.source import locate
config = DatasetConfig(path=Path(sys.argv[1]))
source = locate(config)
memory = CheckMemory(Path(sys.argv[2]), config, source.files)
memory.check(source.reader)
sys.stdout.write("ready\\n")
sys.stdout.flush()
sys.stdin.readline()
for _ in range(int(sys.argv[3])):
    memory.keep()
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def keeping(place: Place, times: int) -> subprocess.Popen[bytes]:
    """A command that checks the dataset, waits, and keeps what it found so many times."""
    return subprocess.Popen(
        [sys.executable, "-c", KEEP, place.path, place.kept, str(times)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def wait_until_checked(command: subprocess.Popen[bytes]) -> None:
    assert command.stdout is not None
    assert command.stdout.readline() == b"ready\n"


def begin(command: subprocess.Popen[bytes]) -> None:
    assert command.stdin is not None
    command.stdin.write(b"\n")
    command.stdin.flush()


def test_commands_at_the_same_time_leave_one_whole_memory(place: Place) -> None:
    commands = [keeping(place, 100) for _ in range(3)]
    for step in (wait_until_checked, begin):
        for command in commands:
            step(command)
    for command in commands:
        command.communicate()
    assert [command.returncode for command in commands] == [0] * 3
    assert place.memory().suffix == ".json"
    first = place.check()
    spoil(place.path)
    assert place.check() == first


def test_a_command_that_is_killed_while_it_writes_leaves_a_whole_memory_or_none(
    place: Place,
) -> None:
    first = place.check()
    for _ in range(4):
        place.memory().unlink()
        command = keeping(place, 1_000_000)
        wait_until_checked(command)
        begin(command)
        while not any(place.kept.glob("*.json")):
            time.sleep(0.001)
        command.kill()
        command.communicate()
        spoil(place.path)
        assert place.check() == first
        write(place.path, *map(sample, range(COUNT)))
        next(place.kept.glob("*.json")).unlink()
        place.check()
        assert place.memory().suffix == ".json", "what the other began is gone"


def finished(place: Place, asked: list[str]) -> RunReport:
    async def send(request: RunRequest) -> ChatResponse:
        asked.append(request.sample.id)
        await asyncio.sleep(0)
        return ChatResponse(text="fine")

    plan = RunPlan(
        dataset=DatasetConfig(path=place.path),
        run_config=RunConfig(backend="sends", model="m"),
        output_root=place.root,
    )
    with Run(prepare(plan, Sends(send))) as run:
        return asyncio.run(run.carry_out())


def test_a_run_remembers_the_check_for_the_next_one(place: Place) -> None:
    asked: list[str] = []
    assert finished(place, asked).exit_code == 0
    assert place.memory().exists()
    assert finished(place, asked).exit_code == 0
    assert len(asked) == COUNT
    spoil(place.path)
    report = finished(place, asked)
    assert report.exit_code == 2
    assert isinstance(report.fault, DatasetError)
    assert not list(place.kept.iterdir())
    assert len(asked) == COUNT


def test_nothing_is_remembered_before_the_run_directory_is_held(place: Place) -> None:
    plan = RunPlan(
        dataset=DatasetConfig(path=place.path),
        run_config=RunConfig(backend="sends", model="m"),
        output_root=place.root,
    )
    prepare(plan, Sends(lambda _: None))  # type: ignore[arg-type]
    assert not list(place.root.iterdir())
