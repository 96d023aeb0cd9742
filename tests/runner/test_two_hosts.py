"""Two hosts in one run directory, whose locks do not reach from one to the other."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from conftest import program, rows
from lm_eval_so.runner.store.holder import holder_of
from support.fake_openai import FakeOpenAI
from support.local_locks import through_a_second_mount, with_locks_of_its_own
from support.patience import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from aiohttp import web

COUNT = 40
ANSWERED = 10


class Gated(FakeOpenAI):
    """Answers a few questions, and the others once it is opened."""

    opened = False

    async def _reply(self, *asked: Any) -> web.StreamResponse:  # noqa: ANN401 - as the base has it
        while not self.opened and sum(self.answered.values()) >= ANSWERED:
            await asyncio.sleep(0.01)
        return await super()._reply(*asked)


class Commands:
    """One command after the other in one run directory; the second one's locks are its own.

    Args:
        server: Answers both.
        apart: How the second one gets there.
    """

    def __init__(
        self,
        dataset: Path,
        run: Path,
        server: Gated,
        apart: Callable[[Path], tuple[list[str], Path]],
    ) -> None:
        self.run = run
        self.server = server
        self._dataset = dataset
        self._apart = apart
        self.started = ExitStack()

    def first(self) -> subprocess.Popen[str]:
        prefix, place = ([], self.run)
        if self._apart is with_locks_of_its_own:
            prefix, place = self._apart(self.run)
        process = self._start(prefix, place)
        wait_for(lambda: len(self.lines) >= ANSWERED)
        return process

    def second(self) -> subprocess.Popen[str]:
        return self._start(*self._apart(self.run))

    @property
    def lines(self) -> list[bytes]:
        path = self.run / "run_results.jsonl"
        return path.read_bytes().splitlines() if path.is_file() else []

    @property
    def holder(self) -> int:
        claim = holder_of(self.run / ".lock.holder")
        return claim.pid if claim is not None else 0

    def _start(self, prefix: list[str], place: Path) -> subprocess.Popen[str]:
        words = ["backend=openai", "model=m", f"backend.options.base_url={self.server.base_url}"]
        words += ["dataset=path", f"dataset.path={self._dataset}", f"output_dir={place}"]
        words += ["runner.max_concurrency=4", "runner.progress=none"]
        process = subprocess.Popen(
            [*prefix, *program(), *words],
            env={**os.environ, **self.server.env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.started.enter_context(process)
        self.started.callback(_kill, process)
        return process


def _kill(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture(params=[through_a_second_mount, with_locks_of_its_own], ids=["mounts", "no-flock"])
def commands(
    request: pytest.FixtureRequest, make_dataset: Callable[..., Path], tmp_path: Path
) -> Iterator[Commands]:
    with Gated() as server:
        made = Commands(make_dataset(COUNT), tmp_path / "run", server, request.param)
        with made.started:
            yield made


def is_whole(commands: Commands) -> bool:
    ids = [row["sample_id"] for row in rows(commands.run / "run_results.jsonl")]
    return ids == [f"s{number}" for number in range(COUNT)]


def test_the_second_is_refused_while_the_first_goes_on(commands: Commands) -> None:
    first = commands.first()
    pid = commands.holder
    said, errors = commands.second().communicate(timeout=60)
    assert "error: " in errors, said + errors
    assert f"is in use by another process (pid {pid} on host " in errors
    assert "Traceback" not in errors
    commands.server.opened = True
    _, errors = first.communicate(timeout=60)
    assert first.returncode == 0, errors
    assert is_whole(commands)
    assert len(commands.server.requests) == COUNT, "the second has sent nothing"
    assert not (commands.run / ".lock.holder").exists()


@pytest.mark.parametrize("ended", [False, True], ids=["meets-it", "has-missed-it"])
def test_one_that_was_stopped_for_long_gives_way_to_the_second(
    commands: Commands, *, ended: bool
) -> None:
    first = commands.first()
    pid = commands.holder
    os.kill(pid, signal.SIGSTOP)
    try:
        second = commands.second()
        wait_for(lambda: commands.holder not in (0, pid))
        commands.server.opened = ended
        if ended:
            assert second.wait(60) == 0
    finally:
        os.kill(pid, signal.SIGCONT)
    said, errors = first.communicate(timeout=60)
    assert first.returncode == 2, said + errors
    assert ".lock.holder is gone" in errors if ended else "writes to " in errors
    assert "When it has ended, resume with: lm-eval-so" in errors
    assert "Traceback" not in errors
    commands.server.opened = True
    said, errors = second.communicate(timeout=60)
    assert second.returncode == 0, said + errors
    assert is_whole(commands)
    asked_again = len(commands.server.requests) - COUNT
    assert asked_again <= 8, "only what the first had in flight, or sent before it knew"
    metadata = orjson.loads((commands.run / "run_metadata.json").read_bytes())
    assert metadata["state"] == "complete", "the first has left it alone"
