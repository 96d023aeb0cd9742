"""What is typed as config means what it says, or is refused with a sentence; nothing is ignored."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hydra.errors import MissingConfigException

from lm_eval_so.runner import cli
from lm_eval_so.runner.hydra_app import app
from lm_eval_so.runner.hydra_app.explain import explain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SIMULATED = ("backend=simulated", "backend.options.latency_ms=1", "runner.progress=none")


@pytest.fixture
def run(make_dataset: Callable[..., Path]) -> Callable[..., int]:
    """The exit code of a simulated run on one sample."""
    data = make_dataset(1)

    def run(*arguments: str) -> int:
        return app.main([*SIMULATED, "dataset=path", f"dataset.path={data}", *arguments])

    return run


@pytest.fixture
def refused(run: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def refused(*arguments: str) -> str:
        assert run(*arguments) == 2
        shown = capsys.readouterr().err
        assert shown.startswith("error: ")
        assert shown.count("\n") == 1
        return shown

    return refused


def metadata(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "run_metadata.json").read_text())


def test_an_unknown_experiment_is_refused_with_those_there_are(refused: Callable[..., str]) -> None:
    shown = refused("experiment=temperature")
    assert "unknown experiment 'temperature'; did you mean 'temperatures'?" in shown


@pytest.mark.parametrize(
    ("overrides", "notes"),
    [
        (["metadata.note=x"], {"note": "x"}),
        (["+metadata.note=x"], {"note": "x"}),
        (["metadata.team.name=qa", "metadata.n=3"], {"team": {"name": "qa"}, "n": 3}),
        (["metadata={note: x}"], {"note": "x"}),
    ],
)
def test_notes_take_any_key(
    run: Callable[..., int], tmp_path: Path, overrides: list[str], notes: dict[str, Any]
) -> None:
    assert run("output_dir=o", *overrides) == 0
    assert metadata(tmp_path / "o")["run_config"]["metadata"] == notes


@pytest.mark.parametrize("name", ["1e3", "1_0", "007", "true", "1.10", "inf"])
def test_a_name_is_taken_as_typed(run: Callable[..., int], tmp_path: Path, name: str) -> None:
    assert run(f"model={name}", f"variant={name}", f"output_dir={name}") == 0
    found = metadata(tmp_path / name)
    assert (found["run_config"]["model"], found["variant"]) == (name, name)


def test_names_in_a_sweep_are_taken_as_typed(run: Callable[..., int], tmp_path: Path) -> None:
    assert run("-m", "model=1e3,1_0,true") == 0
    found = {
        metadata(path.parent)["run_config"]["model"] for path in tmp_path.rglob("run_metadata.json")
    }
    assert found == {"1e3", "1_0", "true"}


@pytest.mark.parametrize("cells", ['params: {model: "1e3,2e3"}', "cells: {a: [model=1e3]}"])
def test_names_in_a_declared_sweep_are_taken_as_typed(
    run: Callable[..., int], tmp_path: Path, cells: str
) -> None:
    (tmp_path / "own" / "experiment").mkdir(parents=True)
    text = f"# @package _global_\nhydra:\n  mode: MULTIRUN\n  sweeper:\n    {cells}\n"
    (tmp_path / "own" / "experiment" / "mine.yaml").write_text(text)
    assert run("--config-dir", "own", "experiment=mine") == 0
    paths = tmp_path.rglob("run_metadata.json")
    assert "1e3" in {metadata(path.parent)["run_config"]["model"] for path in paths}


@pytest.mark.parametrize("override", ["output_dir=~/r", "output_dir='~/r'", "output_root=~/r"])
def test_a_tilde_is_the_home_directory(
    run: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, override: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert run(override) == 0
    assert list((tmp_path / "home" / "r").rglob("run_metadata.json"))
    assert not (tmp_path / "~").exists()


def test_a_dataset_is_found_at_home_by_overrides_and_by_flags(
    make_dataset: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_dataset(1, name="data")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert app.main([*SIMULATED, "dataset=path", "dataset.path=~/data", "output_dir=a"]) == 0
    flags = ["--dataset=~/data", "--backend=simulated", "--output-dir=~/b"]
    assert cli.main(flags) == 0
    assert (tmp_path / "b" / "run_metadata.json").exists()


def test_a_users_file_with_a_shipped_name_is_the_one_that_is_read(
    run: Callable[..., int], tmp_path: Path
) -> None:
    (tmp_path / "own" / "params").mkdir(parents=True)
    (tmp_path / "own" / "params" / "greedy.yaml").write_text("temperature: 0\nseed: 7\n")
    assert run("--config-dir", "own", "params=greedy", "output_dir=o") == 0
    assert metadata(tmp_path / "o")["run_config"]["parameters"] == {"temperature": 0, "seed": 7}


def test_a_users_file_may_build_on_a_shipped_one(run: Callable[..., int], tmp_path: Path) -> None:
    (tmp_path / "own" / "runner").mkdir(parents=True)
    text = "defaults: [default, _self_]\ntimeout: 7\n"
    (tmp_path / "own" / "runner" / "gentle.yaml").write_text(text)
    assert run("--config-dir=own", "runner=gentle", "output_dir=o") == 0
    options = metadata(tmp_path / "o")["options"]
    assert (options["timeout"], options["max_concurrency"]) == (7, "auto")


def test_a_users_main_config_needs_its_name(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "config.yaml").write_text("model: mine\n")
    assert "choose it with --config-name" in refused("--config-dir", "own")


def test_a_folder_of_configs_that_is_missing_is_named(refused: Callable[..., str]) -> None:
    assert "--config-dir: there is no folder" in refused("-cd", "nowhere")


@pytest.mark.parametrize("key", ["model", "runner.max_concurrency", "params.seed", "dataset"])
def test_several_values_without_m_bring_the_way_to_sweep(
    refused: Callable[..., str], key: str
) -> None:
    shown = refused(f"{key}=1,2")
    assert "has several values: -m runs each of them" in shown


def test_parameters_that_are_text_may_hold_a_comma(run: Callable[..., int], tmp_path: Path) -> None:
    assert run("params.stop='a,b'", "output_dir=o") == 0
    assert metadata(tmp_path / "o")["run_config"]["parameters"] == {"stop": "a,b"}


def test_shares_of_a_tag_are_typed_like_any_option(run: Callable[..., int], tmp_path: Path) -> None:
    typed = ["backend.options.by_tag.ko.server_error=0.3", "backend.options.by_tag.7.hang=1"]
    assert run(*typed, f"output_dir={tmp_path / 'out'}") == 0
    options = metadata(tmp_path / "out")["identity"]["backend_options"]
    assert options["by_tag"] == {"ko": {"server_error": 0.3}, "7": {"hang": 1}}


@pytest.mark.parametrize("module", ["hydra_app.app", "cli"])
@pytest.mark.skipif(
    sys.version_info[:3] == (3, 13, 0),
    reason="CPython 3.13.0 cannot import socket where the working directory is gone",
)
def test_a_working_directory_that_is_gone_is_one_sentence(tmp_path: Path, module: str) -> None:
    script = (
        "import os, sys; os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone'); "
        f"from lm_eval_so.runner.{module} import main; "
        f"sys.exit(main({['--output-dir=o'] if module == 'cli' else []}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == (
        "error: the working directory does not exist any more; cd into one that does\n"
    )


@pytest.mark.parametrize("wrong", ["modle=x", "params=nope", "model=a=b=c", "runner=7"])
def test_a_traceback_on_request_changes_no_exit_code(
    run: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    wrong: str,
) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    assert run(wrong) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("Traceback")
    assert shown.splitlines()[-1].startswith("error: ")


@pytest.mark.parametrize(
    ("choice", "extra"),
    [
        ("hydra/launcher/joblib", "joblib"),
        ("hydra/launcher/submitit_slurm", "submitit"),
        ("hydra/launcher/submitit_local", "submitit"),
    ],
)
def test_a_plugin_that_is_missing_names_its_extra(choice: str, extra: str) -> None:
    missing = MissingConfigException("no", choice, ["basic", "cells"])
    assert f"pip install 'lm-eval-so[{extra}]'" in explain(missing)


def test_a_config_file_that_cannot_be_read_is_named(
    refused: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "own" / "params" / "mine.yaml").mkdir(parents=True)
    assert "mine" in refused("--config-dir", "own", "params=mine")
