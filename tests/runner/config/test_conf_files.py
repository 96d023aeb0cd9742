"""Every file in conf/ composes, and is a valid plan."""

from __future__ import annotations

import pytest
import yaml
from hydra import compose, initialize_config_dir

from lm_eval_so.runner.backends.registry import known_kinds
from lm_eval_so.runner.config.compose import plan_from
from lm_eval_so.runner.config.schema import RunnerOptions, RunPlan, TrackingConfig
from lm_eval_so.runner.hydra_app.register import register
from lm_eval_so.runner.hydra_app.shipped import shipped

CONF = shipped("conf")
CHOICES = sorted(
    f"{path.parent.name}={path.stem}" for path in CONF.rglob("*.yaml") if path.parent != CONF
)
NEEDED = {
    **{
        f"dataset={path.stem}": ["dataset.path=somewhere"]
        for path in (CONF / "dataset").glob("*.yaml")
        if "path: ???" in path.read_text()
    },
    "prompt=few_shot": ["prompt.few_shot.path=somewhere"],
    **{
        f"backend={path.stem}": ["model=m"]
        for path in (CONF / "backend").glob("*.yaml")
        if "kind: openai" in path.read_text()
    },
    "backend=anthropic": ["model=m"],
    "backend=python": ["backend.options.callable=bot.py:answer"],
    "backend=command": ["backend.options.command=[bot]"],
    "backend=custom": ["model=m", "backend.kind=mine"],
    **{
        f"backend={path.stem}": ["backend.options.url=http://localhost"]
        for path in (CONF / "backend").glob("*.yaml")
        if "url: ???" in path.read_text()
    },
}


def plan(*overrides: str) -> RunPlan:
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return plan_from(compose("config", list(overrides)))


@pytest.mark.parametrize("choice", CHOICES)
def test_every_file_is_a_valid_plan(choice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://mine.openai.azure.com/")
    found = plan(choice, *NEEDED.get(choice, []))
    assert found.run_config.model
    assert found.run_config.backend in {*known_kinds(), "mine"}


def test_the_files_are_the_groups_of_the_design() -> None:
    assert {choice.partition("=")[0] for choice in CHOICES} == {
        *("dataset", "prompt", "backend", "params", "runner", "engine", "tracking", "experiment")
    }
    trees = {path: yaml.safe_load(path.read_text()) or {} for path in CONF.rglob("*.yaml")}
    with_hydra = {path: tree["hydra"] for path, tree in trees.items() if "hydra" in tree}
    assert with_hydra.pop(CONF / "config.yaml")
    for path, node in with_hydra.items():
        assert path.parent.name == "experiment", "only a declared sweep speaks to Hydra"
        assert set(node) == {"mode", "sweeper"}


def test_python_and_the_command_line_have_the_same_defaults() -> None:
    assert plan().options == RunnerOptions()
    assert plan("tracking=mlflow").tracking == TrackingConfig(kind="mlflow")


def test_no_file_names_a_target() -> None:
    assert not [path for path in CONF.rglob("*.yaml") if "_target_" in path.read_text()]
