"""Cells in processes of their own: killed, interrupted, terminated; the others go on."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from conftest import program
from support.fake_openai import FakeOpenAI, Received, Reply
from support.patience import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SAMPLES = 40
LAUNCHERS = {
    "joblib": ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
    "submitit": ["hydra/launcher=submitit_local"],
}


class Started:
    """A sweep that runs, with what it has said."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.process = process
        self.folder = folder

    @property
    def out(self) -> str:
        return (self.folder / "stdout").read_text()

    @property
    def err(self) -> str:
        return (self.folder / "stderr").read_text()

    def end(self) -> int:
        return self.process.wait(100)


@pytest.fixture(params=LAUNCHERS.values(), ids=LAUNCHERS)
def launcher(request: pytest.FixtureRequest) -> list[str]:
    return request.param


@pytest.fixture
def words(launcher: list[str], make_dataset: Callable[..., Path]) -> list[str]:
    data = make_dataset(SAMPLES)
    return [
        *("-m", "backend=openai", "dataset=path", f"dataset.path={data}", "model=a,b,c"),
        *("runner.max_concurrency=2", *launcher),
    ]


PATIENT = """
from lm_eval_so.runner.hydra_app import app
from lm_eval_so.runner.hydra_app.launch import fleet

if __name__ == "__main__":
    fleet.ONE_REQUEST, fleet._LAST_WORDS = 8.0, 60.0
    app.script()
"""
"""A command that gives its cells more time than a slow machine takes."""


@contextmanager
def started(words: list[str], server: FakeOpenAI, folder: Path, *begin: str) -> Iterator[Started]:
    """In a session of its own, whose processes are all ended with the block."""
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        process = subprocess.Popen(
            [*(begin or program()), *words],
            env={**os.environ, **server.env},
            cwd=folder,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
    try:
        yield Started(process, folder)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def is_gone(sweep: Started) -> bool:
    """Whether no process of its group is left."""
    try:
        os.killpg(sweep.process.pid, 0)
    except ProcessLookupError:
        return True
    return False


def holder(folder: Path, model: str) -> int:
    """The process that holds the run directory of a model."""
    (path,) = folder.glob(f"outputs/numbers/openai_{model}*/.lock.holder")
    pid: int = json.loads(path.read_text())["pid"]
    return pid


def cells(folder: Path) -> dict[str, dict[str, Any]]:
    (path,) = folder.glob("outputs/numbers/sweeps/*/sweep.json")
    return {cell["settings"]["model"]: cell for cell in json.loads(path.read_text())["cells"]}


def asked(server: FakeOpenAI) -> Counter[str]:
    return Counter(received.body["model"] for received in server.requests)


class Holding(FakeOpenAI):
    """Answers a few questions of each model at once, and takes its time for the others."""

    slow = 2.0

    def __init__(self) -> None:
        super().__init__(self.slowly)

    def slowly(self, received: Received, _nth: int) -> Reply:
        return Reply(latency=0.01 if asked(self)[received.body["model"]] < 6 else self.slow)

    def wait_for_two_cells(self) -> None:
        wait_for(lambda: min(asked(self)["a"], asked(self)["b"]) >= 6)

    def hurry(self) -> None:
        self.behave = lambda _received, _nth: Reply()


def test_a_killed_cell_is_owed_and_ends_no_other(words: list[str], tmp_path: Path) -> None:
    with Holding() as server, started(words, server, tmp_path) as sweep:
        server.wait_for_two_cells()
        os.kill(holder(tmp_path, "a"), signal.SIGKILL)
        server.hurry()
        assert sweep.end() == 2, sweep.err
        told = cells(tmp_path)
        assert {model: cell["state"] for model, cell in told.items()} == {
            "a": "owed",
            "b": "complete",
            "c": "complete",
        }
        assert [cell["exit_code"] for cell in told.values()] == [2, 0, 0]
        assert told["a"]["ok"] >= 4, "the lines are counted where there is no summary"
        assert told["a"]["ok"] + told["a"]["owed"] == SAMPLES
        assert "Traceback" not in sweep.err
        assert f"owed: model=a: {told['a']['error']}" in sweep.out, "the table says why"
        (go_on,) = re.findall("resume with: (.*)", sweep.out)

        before = len(server.requests)
        with started(shlex.split(go_on)[1:], server, tmp_path) as again:
            assert again.end() == 0, again.err
        sent = server.requests[before:]
        assert {received.body["model"] for received in sent} == {"a"}
        assert len(sent) == told["a"]["owed"]
    assert {cell["state"] for cell in cells(tmp_path).values()} == {"complete"}


@pytest.mark.parametrize(
    ("launcher", "number"),
    [
        *((LAUNCHERS["joblib"], number) for number in (signal.SIGTERM, signal.SIGHUP)),
        (LAUNCHERS["submitit"], signal.SIGINT),
    ],
    indirect=["launcher"],
)
def test_a_signal_to_the_command_alone_reaches_the_cells(
    words: list[str], tmp_path: Path, number: signal.Signals
) -> None:
    with Holding() as server, started(words, server, tmp_path) as sweep:
        server.wait_for_two_cells()
        sweep.process.send_signal(number)
        assert sweep.end() == 128 + number, sweep.err
        wait_for(lambda: is_gone(sweep))
        told = cells(tmp_path)
        assert {told["a"]["state"], told["b"]["state"]} == {"partial"}
        kept = sum(cell["ok"] or 0 for cell in told.values())
        assert kept == len(server.requests), "what was in flight was waited for"
        server.hurry()
        with started(words, server, tmp_path) as again:
            assert again.end() == 0, again.err
        assert len(server.requests) == 3 * SAMPLES, "nothing was paid for twice"


def test_ctrl_c_of_the_terminal_is_one_request(words: list[str], tmp_path: Path) -> None:
    """It reaches the command and all cells at once, and the command hands it on besides."""
    server = Holding()
    server.slow = 1.0  # so that it is over before a second signal would be a request of its own
    with server, started(words, server, tmp_path) as sweep:
        server.wait_for_two_cells()
        os.killpg(sweep.process.pid, signal.SIGINT)
        assert sweep.end() == 130, sweep.err
        told = cells(tmp_path)
        assert sum(cell["ok"] or 0 for cell in told.values()) == len(server.requests)
        assert "Traceback" not in sweep.err


def test_a_second_ctrl_c_leaves_no_cell_behind(words: list[str], tmp_path: Path) -> None:
    patient = tmp_path / "patient.py"
    patient.write_text(PATIENT)
    with (
        FakeOpenAI(lambda _received, _nth: Reply(hang=True)) as server,
        started(words, server, tmp_path, sys.executable, str(patient)) as sweep,
    ):
        wait_for(lambda: asked(server)["a"] > 1 and asked(server)["b"] > 1)
        sweep.process.send_signal(signal.SIGINT)
        wait_for(lambda: "once more to end them at once" in sweep.err)
        sweep.process.send_signal(signal.SIGINT)
        assert sweep.end() == 130, sweep.err
        wait_for(lambda: is_gone(sweep))
        told = cells(tmp_path)
        states = {told["a"]["state"], told["b"]["state"]}
        assert states == {"partial"}, "they gave up what hung, and told it themselves"
        server.behave = lambda _received, _nth: Reply()
        with started(words, server, tmp_path) as again:
            assert again.end() == 0, "no lock is held any more"


@pytest.mark.parametrize(
    "launcher",
    [*LAUNCHERS.values(), [*LAUNCHERS["submitit"], "hydra.sweep.dir=elsewhere"]],
    ids=[*LAUNCHERS, "submitit, in a folder of one's own"],
    indirect=True,
)
def test_a_second_ctrl_c_ends_a_cell_that_hears_nothing(words: list[str], tmp_path: Path) -> None:
    with (
        FakeOpenAI(lambda _received, _nth: Reply(hang=True)) as server,
        started(words, server, tmp_path) as sweep,
    ):
        wait_for(lambda: asked(server)["a"] > 1)
        os.kill(holder(tmp_path, "a"), signal.SIGSTOP)
        sweep.process.send_signal(signal.SIGINT)
        wait_for(lambda: "once more to end them at once" in sweep.err)
        sweep.process.send_signal(signal.SIGINT)
        assert sweep.end() == 130, sweep.err
        wait_for(lambda: is_gone(sweep))
        assert cells(tmp_path)["a"]["state"] == "owed"
