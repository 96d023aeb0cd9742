from __future__ import annotations

import json
import logging
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from conftest import rows
from lm_eval_so import __version__
from lm_eval_so.runner.hydra_app.app import main
from lm_eval_so.runner.hydra_app.arguments import overrides_first
from support.fake_openai import FakeOpenAI, Received, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def fails_on_one(received: Received, _: int) -> Reply:
    return Reply(status=400 if received.question == "question 1" else 200)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeOpenAI]:
    with FakeOpenAI(fails_on_one) as fake:
        for name, value in fake.env.items():
            monkeypatch.setenv(name, value)
        yield fake


@pytest.fixture
def run(server: FakeOpenAI, make_dataset: Callable[..., Path]) -> Callable[..., int]:
    """Runs overrides against the server; with three samples, one of them fails."""

    def start(*overrides: str, samples: int = 1) -> int:
        assert server.port
        dataset = make_dataset(samples)
        return main(["backend=openai", "dataset=path", f"dataset.path={dataset}", *overrides])

    return start


def run_directories(folder: Path) -> list[Path]:
    return [path.parent for path in (folder / "outputs" / "numbers").glob("*/run_metadata.json")]


def metadata(path: Path) -> dict[str, Any]:
    return json.loads((path / "run_metadata.json").read_text())


@pytest.mark.parametrize(
    ("samples", "overrides", "code"),
    [
        pytest.param(1, [], 0, id="all-ok"),
        pytest.param(3, [], 1, id="one-failed"),
        pytest.param(3, ["runner.max_failures=1"], 0, id="one-tolerated"),
        pytest.param(3, ["runner.max_failures=null"], 0, id="any-tolerated"),
        pytest.param(3, ["runner.max_failures=-1"], 2, id="not-carried-out"),
    ],
)
def test_the_exit_code_tells_how_it_ended(
    run: Callable[..., int], samples: int, overrides: list[str], code: int
) -> None:
    assert run("model=m", *overrides, samples=samples) == code


def test_a_sweep_leaves_a_directory_a_cell_and_ends_with_the_worst_code(
    run: Callable[..., int], server: FakeOpenAI, tmp_path: Path
) -> None:
    assert run("-m", "model=org/a,b", "params.temperature=0,0.5", samples=3) == 1
    found = {
        (row["model"], row["parameters"]["temperature"])
        for path in run_directories(tmp_path)
        for row in [metadata(path)["run_config"]]
    }
    assert found == {(model, t) for model in ("org/a", "b") for t in (0, 0.5)}
    assert len(server.requests) == 12
    assert {path.name for path in tmp_path.iterdir()} == {"numbers", "outputs"}


def test_a_cell_and_the_same_run_alone_meet_in_one_directory(
    run: Callable[..., int], server: FakeOpenAI, tmp_path: Path
) -> None:
    assert run("-m", "model=a,b") == 0
    assert run("model=b", "runner.max_concurrency=3") == 0
    assert len(server.requests) == 2
    assert len(run_directories(tmp_path)) == 2


@pytest.mark.parametrize(
    "overrides",
    [["params.top_p=0.9"], ["+params.top_p=0.9"], ["++params.top_p=0.9"], ["params={top_p: 0.9}"]],
    ids=str,
)
def test_a_parameter_needs_no_plus(
    run: Callable[..., int], server: FakeOpenAI, overrides: list[str]
) -> None:
    assert run("model=m", *overrides) == 0
    assert server.requests[0].body["top_p"] == 0.9


def test_a_null_parameter_is_not_sent_and_changes_no_identity(
    run: Callable[..., int], server: FakeOpenAI
) -> None:
    assert run("model=m", "params=greedy", "params.temperature=null") == 0
    assert "temperature" not in server.requests[0].body
    assert run("model=m") == 0
    assert len(server.requests) == 1


def test_a_directory_of_another_run_is_refused_with_the_keys_that_differ(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run("model=m", "output_dir=mine") == 0
    before = (tmp_path / "mine" / "run_results.jsonl").read_bytes()
    assert run("model=n", "params.temperature=1", "output_dir=mine") == 2
    shown = capsys.readouterr().err
    assert "model is 'm' there and 'n' here" in shown
    assert "parameters.temperature is None there and 1 here" in shown
    assert (tmp_path / "mine" / "run_results.jsonl").read_bytes() == before


def test_a_users_own_groups_are_found(
    run: Callable[..., int], server: FakeOpenAI, tmp_path: Path
) -> None:
    (tmp_path / "own" / "params").mkdir(parents=True)
    (tmp_path / "own" / "params" / "mine.yaml").write_text("temperature: 0.3\nseed: 7\n")
    assert run("--config-dir", str(tmp_path / "own"), "params=mine", "model=m") == 0
    body = server.requests[0].body
    assert (body["temperature"], body["seed"]) == (0.3, 7)


@pytest.mark.parametrize("where", [0, 1, 2])
def test_flags_may_stand_anywhere(run: Callable[..., int], server: FakeOpenAI, where: int) -> None:
    arguments = ["model=a,b", "params.seed=1"]
    assert run(*arguments[:where], "-m", *arguments[where:]) == 0
    assert sorted(received.body["model"] for received in server.requests) == ["a", "b"]


@pytest.mark.parametrize(
    ("given", "ordered"),
    [
        ("a=1 -m b=2", "a=1 b=2 -m"),
        ("-cd conf a=1 --cfg job b=2", "a=1 b=2 -cd conf --cfg job"),
        ("--info a=1", "a=1 --info"),
        ("--info defaults a=1", "a=1 --info defaults"),
        ("--config-dir=conf ~a +b=1", "~a +b=1 --config-dir=conf"),
    ],
)
def test_overrides_are_told_from_what_flags_take(given: str, ordered: str) -> None:
    assert overrides_first(given.split()) == ordered.split()


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--version"], [f"lm-eval-so {__version__}"]),
        (["--cfg", "job"], ["max_concurrency:", "kind: local"]),
        (["--info", "defaults"], ["backend/local"]),
        (["--help"], ["backend: anthropic, ", ", openai, ", "lm-eval-so -m backend=openai"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_questions_are_answered(
    capsys: pytest.CaptureFixture[str], arguments: list[str], shown: list[str]
) -> None:
    assert main(arguments) == 0
    out = capsys.readouterr().out
    for text in shown:
        assert text in out


def test_no_question_changes_the_logging_of_who_asks() -> None:
    before = logging.root.handlers[:]
    main(["--info", "defaults"])
    assert logging.root.handlers == before


def test_help_shows_three_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    examples = out.partition("== Examples ==")[2].partition("== Config ==")[0]
    assert sum(line.startswith("  lm-eval-so") for line in examples.splitlines()) == 3


def test_the_end_shows_a_table_and_where_the_files_are(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run("model=m", "output_dir=mine", samples=3) == 1
    shown = capsys.readouterr().out
    assert "BadRequestError" in shown
    for name in ("mine/run_results.jsonl", "mine/run_metadata.json"):
        assert name in shown
    statuses = [row["status"] for row in rows(tmp_path / "mine" / "run_results.jsonl")]
    assert statuses == ["ok", "error", "ok"]


def test_the_package_itself_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lm_eval_so", "--version"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, f"lm-eval-so {__version__}\n")
