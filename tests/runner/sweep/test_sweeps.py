"""Sweeps through the real command: many cells, nothing twice."""

from __future__ import annotations

import csv
import itertools
import json
import os
import re
import resource
import shlex
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conftest import program, rows, starts
from support.fake_openai import FakeOpenAI, Received, Reply
from support.patience import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

GRID = ["model=a,b", "params.temperature=0,0.5,1"]
SAMPLES = 50
Sweep = "Callable[..., subprocess.CompletedProcess[str]]"


@pytest.fixture
def sweep(
    command: Callable[..., subprocess.CompletedProcess[str]], make_dataset: Callable[..., Path]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a sweep of 50 samples a cell against a server."""

    def start(server: FakeOpenAI, *overrides: str) -> subprocess.CompletedProcess[str]:
        return command(*arguments(make_dataset(SAMPLES)), *overrides, env=server.env)

    return start


def arguments(dataset: Path) -> list[str]:
    return ["-m", "backend=openai", "dataset=path", f"dataset.path={dataset}"]


def cells(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob("outputs/numbers/*/run_metadata.json"))


def record(folder: Path) -> dict[str, Any]:
    (path,) = folder.glob("outputs/numbers/sweeps/*/sweep.json")
    return json.loads(path.read_text())


def states(folder: Path) -> Counter[str]:
    return Counter(cell["state"] for cell in record(folder)["cells"])


def asked(server: FakeOpenAI) -> Counter[tuple[str, float, str]]:
    return Counter(
        (received.body["model"], received.body["temperature"], received.question)
        for received in server.requests
    )


def test_a_grid_leaves_a_directory_a_cell_and_one_record(
    sweep: Callable[..., subprocess.CompletedProcess[str]], server: FakeOpenAI, tmp_path: Path
) -> None:
    done = sweep(server, *GRID)
    assert done.returncode == 0, done.stderr
    assert len(cells(tmp_path)) == 6
    for cell in cells(tmp_path):
        results = rows(cell / "run_results.jsonl")
        assert [result["sample_id"] for result in results] == [f"s{n}" for n in range(SAMPLES)]
        assert {result["status"] for result in results} == {"ok"}
    assert set(asked(server).values()) == {1}

    told = record(tmp_path)["cells"]
    assert [cell["settings"] for cell in told] == [
        {"model": model, "params.temperature": temperature}
        for model in "ab"
        for temperature in ("0", "0.5", "1")
    ]
    assert {Path(tmp_path, cell["directory"]) for cell in told} == set(cells(tmp_path))
    assert {(cell["state"], cell["exit_code"], cell["ok"]) for cell in told} == {
        ("complete", 0, SAMPLES)
    }
    (table,) = tmp_path.glob("outputs/numbers/sweeps/*/sweep.csv")
    with table.open() as file:
        lines = list(csv.DictReader(file))
    assert [(line["model"], line["params.temperature"], line["ok"]) for line in lines] == [
        (*cell["settings"].values(), str(SAMPLES)) for cell in told
    ]
    assert "resume with" not in done.stdout


def test_the_same_sweep_again_in_any_order_sends_nothing_and_meets_the_same_record(
    sweep: Callable[..., subprocess.CompletedProcess[str]], server: FakeOpenAI, tmp_path: Path
) -> None:
    assert sweep(server, *GRID).returncode == 0
    before = {path: (path / "run_results.jsonl").read_bytes() for path in cells(tmp_path)}
    again = sweep(server, "params.temperature=1,0.5,0", "model=b,a")
    assert again.returncode == 0, again.stderr
    assert len(server.requests) == 6 * SAMPLES
    assert {path: (path / "run_results.jsonl").read_bytes() for path in cells(tmp_path)} == before
    assert states(tmp_path) == {"complete": 6}, "and there is one record"


def test_a_skipped_cell_costs_little(
    sweep: Callable[..., subprocess.CompletedProcess[str]], server: FakeOpenAI
) -> None:
    def cpu(*overrides: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert sweep(server, *overrides).returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    cpu(*GRID)
    two, six = cpu("model=a", "params.temperature=0,1"), cpu(*GRID)
    assert (six - two) / 4 < 0.5


def no_model_b(received: Received, _: int) -> Reply:
    if received.body["model"] == "b":
        body = {"error": {"message": "no model b", "code": "model_not_found"}}
        return Reply(status=404, body=json.dumps(body).encode())
    return Reply()


def test_a_cell_that_fails_stops_no_other_and_the_printed_command_runs_what_is_owed(
    sweep: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    with FakeOpenAI(no_model_b) as server:
        done = sweep(server, *GRID)
        assert done.returncode == 2
        assert done.stderr.count("has no model 'b'") == 3, "one sentence a cell"
        assert states(tmp_path) == {"complete": 3, "failed": 3}
        for cell in record(tmp_path)["cells"]:
            assert (cell["error"] is None) == (cell["settings"]["model"] == "a")
        shown = [line.split() for line in done.stdout.splitlines()]
        assert [line[2] for line in shown if line[:1] in (["a"], ["b"])] == [
            *["complete"] * 3,
            *["failed"] * 3,
        ]
        (go_on,) = re.findall("resume with: (.*)", done.stdout)
        assert done.stdout.rstrip().endswith(go_on), "the last line says how to go on"

        server.behave = lambda _received, _nth: Reply()
        server.requests.clear()
        words = [*program(), *shlex.split(go_on)[1:]]
        finished = subprocess.run(
            words, env={**os.environ, **server.env}, cwd=tmp_path, check=False, timeout=60
        )
        assert finished.returncode == 0
        assert {received.body["model"] for received in server.requests} == {"b"}
        assert len(server.requests) == 3 * SAMPLES
        assert states(tmp_path) == {"complete": 6}


def test_a_new_value_runs_only_its_own_cells(
    sweep: Callable[..., subprocess.CompletedProcess[str]], server: FakeOpenAI, tmp_path: Path
) -> None:
    assert sweep(server, "model=a,b", "params.temperature=0,1").returncode == 0
    server.requests.clear()
    assert sweep(server, "model=a,b", "params.temperature=0,0.7,1").returncode == 0
    assert {received.body["temperature"] for received in server.requests} == {0.7}
    assert len(server.requests) == 2 * SAMPLES
    assert len(cells(tmp_path)) == 6


@pytest.mark.parametrize("how", ["kill", "interrupt"])
def test_a_sweep_that_is_ended_in_its_fourth_cell_goes_on_there(
    make_dataset: Callable[..., Path],
    command: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
    how: str,
) -> None:
    words = [*arguments(make_dataset(SAMPLES)), *GRID, "runner.max_concurrency=4"]

    def slow_in_the_fourth(_received: Received, _nth: int) -> Reply:
        return Reply(latency=0.01 if len(server.requests) <= 3 * SAMPLES + 10 else 2)

    with FakeOpenAI(slow_in_the_fourth) as server:
        with started(words, server, tmp_path) as process:
            wait_for(lambda: len(server.requests) > 3 * SAMPLES + 10)
            process.send_signal(signal.SIGKILL if how == "kill" else signal.SIGINT)
            process.wait(100)
        server.behave = lambda _received, _nth: Reply()
        if how == "kill":
            assert process.returncode == -signal.SIGKILL
        else:
            assert process.returncode == 130
            assert states(tmp_path) == {"complete": 3, "partial": 1, "owed": 2}
            assert set(server.answered.values()) <= {1, 2, 3, 4}, "what was in flight was kept"
        finished = command(*words, env=server.env)
        assert finished.returncode == 0, finished.stderr
        twice = sum(asked(server).values()) - len(asked(server))
        assert twice <= (4 if how == "kill" else 0)
        assert len(asked(server)) == 6 * SAMPLES
    assert states(tmp_path) == {"complete": 6}


@pytest.mark.parametrize(
    "model",
    [
        "meta-llama/Llama-3.1-8B-Instruct",
        "org/name:v1",
        "x" * 200,
        "한국어 모델",
        'a"b<c>d|e?f*g',
        "con",
        "ends with a dot.",
    ],
)
def test_any_name_of_a_model_gets_a_directory_that_windows_takes_too(
    sweep: Callable[..., subprocess.CompletedProcess[str]],
    server: FakeOpenAI,
    tmp_path: Path,
    model: str,
) -> None:
    quoted = "'" + model + "'"
    done = sweep(server, f"model={quoted},plain", "params.temperature=0")
    assert done.returncode == 0, done.stderr
    assert {received.body["model"] for received in server.requests} == {model, "plain"}
    names = [path.name for path in cells(tmp_path)]
    assert len(names) == 2
    for name in names:
        assert len(name.encode()) <= 255
        assert not re.search(r'[\x00-\x1f<>:"/\\|?*]', name)
        assert not name.endswith((".", " "))


def test_two_cells_that_would_be_one_run_are_refused_before_anything_is_sent(
    sweep: Callable[..., subprocess.CompletedProcess[str]], server: FakeOpenAI, tmp_path: Path
) -> None:
    done = sweep(server, "model=a", "runner.max_concurrency=1,4")
    assert done.returncode == 2
    assert "cells 1 and 2 are the same run" in done.stderr
    assert "variant='${runner.max_concurrency}'" in done.stderr
    assert not server.requests
    assert not (tmp_path / "outputs").exists()

    named = sweep(server, "model=a,b", "output_dir=mine")
    assert named.returncode == 2
    assert "both write to output_dir=mine" in named.stderr
    assert not server.requests

    numbered = sweep(server, "model=a,b", "output_dir='own/${hydra:job.num}'")
    assert numbered.returncode == 0, numbered.stderr
    assert {path.name for path in (tmp_path / "own").iterdir()} == {"0", "1"}
    server.requests.clear()

    apart = sweep(
        server, "model=a", "runner.max_concurrency=1,4", "variant='${runner.max_concurrency}'"
    )
    assert apart.returncode == 0, apart.stderr
    assert len(cells(tmp_path)) == 2
    assert len(server.requests) == 2 * SAMPLES


def test_a_typo_in_one_cell_sends_nothing(
    sweep: Callable[..., subprocess.CompletedProcess[str]], server: FakeOpenAI
) -> None:
    done = sweep(server, "model=a", "runner.max_concurrency=4,0")
    assert done.returncode == 2
    assert "runner.max_concurrency must be at least 1" in done.stderr
    assert "Traceback" not in done.stderr
    assert not server.requests


def experiment(folder: Path, name: str, text: str) -> None:
    """A user's own file, to be found with ``--config-dir own``."""
    path = folder / "own" / "experiment" / f"{name}.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(text)


def test_named_cells_meet_the_grid(
    sweep: Callable[..., subprocess.CompletedProcess[str]], server: FakeOpenAI, tmp_path: Path
) -> None:
    experiment(
        tmp_path,
        "pair",
        "# @package _global_\n"
        "hydra:\n"
        "  mode: MULTIRUN\n"
        "  sweeper:\n"
        "    cells:\n"
        "      small: {model: 'it''s a, b', params.stop: [x, y]}\n"
        "      large: [model=c, params.seed=7]\n",
    )
    done = sweep(
        server,
        *("--config-dir", str(tmp_path / "own"), "experiment=pair", "params.temperature=0,1"),
    )
    assert done.returncode == 0, done.stderr
    sent = {
        (body["model"], body["temperature"], str(body.get("stop")), body.get("seed"))
        for body in (received.body for received in server.requests)
    }
    assert sent == {
        *(("it's a, b", t, "['x', 'y']", None) for t in (0, 1)),
        *(("c", t, "None", 7) for t in (0, 1)),
    }
    assert [cell["settings"]["cell"] for cell in record(tmp_path)["cells"]] == [
        *("small", "small", "large", "large")
    ]


def test_the_record_keeps_no_key_of_a_declared_cell(
    sweep: Callable[..., subprocess.CompletedProcess[str]], server: FakeOpenAI, tmp_path: Path
) -> None:
    experiment(
        tmp_path,
        "keys",
        "# @package _global_\n"
        "hydra: {mode: MULTIRUN, sweeper: {cells: {\n"
        "  one: {model: a, backend.options.api_key: sk-cell-0123456789},\n"
        "  two: {model: b, backend.options.api_key: sk-cell-9876543210}}}}\n",
    )
    done = sweep(server, "--config-dir", str(tmp_path / "own"), "experiment=keys")
    assert done.returncode == 0, done.stderr
    sent = {received.headers["Authorization"] for received in server.requests}
    assert sent == {"Bearer sk-cell-0123456789", "Bearer sk-cell-9876543210"}
    assert "sk-cell" not in done.stdout + done.stderr
    for path in (tmp_path / "outputs").rglob("*"):
        assert path.is_dir() or b"sk-cell" not in path.read_bytes(), path


def test_a_named_sweep_grows_in_one_record(
    sweep: Callable[..., subprocess.CompletedProcess[str]], server: FakeOpenAI, tmp_path: Path
) -> None:
    for values in ("0,1", "0,0.5,1"):
        done = sweep(server, "model=a", f"params.temperature={values}", "sweep_name=nightly")
        assert done.returncode == 0, done.stderr
    assert states(tmp_path) == {"complete": 3}
    assert (tmp_path / "outputs/numbers/sweeps/nightly/sweep.csv").is_file()


def test_processes_share_the_limits_of_one_endpoint_and_key(
    sweep: Callable[..., subprocess.CompletedProcess[str]], server: FakeOpenAI, tmp_path: Path
) -> None:
    per_second = 20
    server.ready = lambda: len({one.body["temperature"] for one in server.requests}) == 4
    done = sweep(
        server,
        *("hydra/launcher=joblib", "hydra.launcher.n_jobs=4", "model=a"),
        *("params.temperature=0,0.3,0.6,0.9", f"runner.requests_per_minute={60 * per_second}"),
    )
    assert done.returncode == 0, done.stderr
    assert states(tmp_path) == {"complete": 4}
    of_cells = [starts(path) for path in tmp_path.rglob("run_results.jsonl")]
    times = sorted(itertools.chain(*of_cells))
    assert len(server.requests) == len(times) == 4 * SAMPLES
    burst = per_second  # a second's worth
    for n, first in enumerate(times):
        for seconds in (1, 5):
            within = sum(first <= at < first + seconds for at in times[n:])
            assert within <= per_second * seconds + burst
    all_run = max(first for first, *_ in of_cells)
    assert times[-1] - all_run < 1.2 * len(times) / per_second, "and the limit is used"
    assert all_run < min(last for *_, last in of_cells), "cells ran at the same time"
    lines = [line for line in done.stdout.splitlines() if line.startswith("[")]
    assert sorted(line.split("/")[0] for line in lines) == ["[1", "[2", "[3", "[4"]
    told = [line for line in done.stderr.splitlines() if not line.startswith("results so far: ")]
    assert not told, "a line a cell, and now and then how far they are"


def test_a_process_that_is_started_for_a_cell_fails_alone(
    sweep: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    with FakeOpenAI(no_model_b) as server:
        done = sweep(
            server, *("hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "params.temperature=0"),
            "model=a,b,c",
        )  # fmt: skip
    assert done.returncode == 2
    assert states(tmp_path) == {"complete": 2, "failed": 1}
    assert "has no model 'b'" in done.stderr


def test_the_first_interrupt_of_parallel_cells_keeps_what_is_in_flight(
    make_dataset: Callable[..., Path],
    command: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    words = [
        *arguments(make_dataset(SAMPLES)),
        *("hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "runner.max_concurrency=2", *GRID),
    ]
    with FakeOpenAI(lambda _received, _nth: Reply(latency=1)) as server:
        with started(words, server, tmp_path) as process:
            wait_for(lambda: len({one.body["temperature"] for one in list(server.requests)}) == 2)
            os.killpg(process.pid, signal.SIGINT)
            process.wait(100)
        server.behave = lambda _received, _nth: Reply()
        assert process.returncode == 130
        assert states(tmp_path) == {"partial": 2, "owed": 4}
        finished = command(*words, env=server.env)
        assert finished.returncode == 0, finished.stderr
        assert set(asked(server).values()) == {1}, "nothing was paid for twice"
        assert len(server.requests) == 6 * SAMPLES


def test_the_local_submitit_launcher_runs_the_cells(
    sweep: Callable[..., subprocess.CompletedProcess[str]], server: FakeOpenAI, tmp_path: Path
) -> None:
    done = sweep(server, "hydra/launcher=submitit_local", "model=a,b", "params.temperature=0")
    assert done.returncode == 0, done.stderr
    assert states(tmp_path) == {"complete": 2}
    assert len(server.requests) == 2 * SAMPLES


@pytest.mark.parametrize("experiment", ["load_ladder", "models", "rehearsal", "temperatures"])
def test_each_declared_experiment_runs(
    command: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, experiment: str
) -> None:
    done = command(f"experiment={experiment}", "backend=simulated")
    assert done.returncode == 0, done.stderr
    found = list(tmp_path.glob("outputs/*/sweeps/*/sweep.json"))
    if experiment == "rehearsal":
        assert not found
        return
    told = json.loads(found[0].read_text())["cells"]
    assert len(told) > 2
    assert {cell["state"] for cell in told} == {"complete"}
    assert len({cell["directory"] for cell in told}) == len(told)


class started:  # noqa: N801 - reads as a statement
    """The command in a process group of its own, ended with the block."""

    def __init__(self, words: list[str], server: FakeOpenAI, folder: Path) -> None:
        self.process = subprocess.Popen(
            [*program(), *words],
            env={**os.environ, **server.env},
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def __enter__(self) -> subprocess.Popen[bytes]:
        return self.process

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
