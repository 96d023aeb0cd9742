"""Every command, program and config line of the README does what it says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from conftest import REPOSITORY
from lm_eval_so.runner.models import TestSample

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.fake_openai import FakeOpenAI

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


COMMANDS = [line for block in blocks("bash") for line in block.splitlines()]
NOT_HERE = {"make check", "make test"}  # this test is a part of them


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what git tracks or would track, with an environment that is installed already."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    folder = tmp_path / "checkout"
    for name in listed.stdout.splitlines():
        if (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, folder / name)
    (folder / ".venv").mkdir()
    (folder / ".venv" / "bin").symlink_to(BIN)
    for stamp in (".installed", ".installed-dev"):
        (folder / ".venv" / stamp).touch()
    shutil.copytree(REPOSITORY / "example/quickstart/dataset/toy_support_qa_v1", folder / "my/dir")
    return folder


@pytest.mark.parametrize("line", [line for line in COMMANDS if line not in NOT_HERE])
def test_each_command_works_as_it_stands(line: str, checkout: Path, server: FakeOpenAI) -> None:
    environment = {
        **os.environ,
        **server.env,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        # What pip would install is looked up, not installed: the environment is in use.
        "PIP_DRY_RUN": "1",
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
    }
    if line.startswith("source "):
        (BIN / "activate").stat()
        return
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    if "backend=openai" in line or "--backend openai" in line:
        cells = 4 if line.startswith("lm-eval-so -m") else 1
        assert len(server.requests) == 3 * cells
        assert f"{3 * cells} ok" in done.stdout or done.stdout.count("3 ok") == cells
    if line == "make quickstart":
        assert "3 ok" in done.stdout


@pytest.mark.parametrize("program", blocks("python"), ids=["run", "pipeline", "backend"])
def test_each_program_works_as_it_stands(program: str, checkout: Path, server: FakeOpenAI) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=checkout,
        env={**os.environ, **server.env},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert len(server.requests) == (1 if "PipelineContext" in program else server_asked(program))


def server_asked(program: str) -> int:
    return 3 if 'backend="openai"' in program else 0  # the second time nothing is sent


def test_the_sample_shown_is_a_sample() -> None:
    (shown,) = blocks("json")
    assert TestSample.model_validate_json(shown).model_extra == {}


def config_table() -> dict[str, str]:
    config = README.partition("## Config")[2].partition("## What is left")[0]
    mlflow = README.partition("## MLflow")[2].partition("## Limits")[0]
    table = config + mlflow
    rows = re.findall(r"^\| `([^`]+)` \| (?:`([^`]*)`)?", table, re.MULTILINE)
    return {key: default for key, default in rows if not key.endswith("*")}


def flattened(tree: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from flattened(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def test_the_table_has_every_key_with_its_default() -> None:
    config = yaml.safe_load((REPOSITORY / "conf/config.yaml").read_text(encoding="utf-8"))
    runner = yaml.safe_load((REPOSITORY / "conf/runner/default.yaml").read_text(encoding="utf-8"))
    expected = dict(flattened(runner, "runner."))
    mlflow = yaml.safe_load((REPOSITORY / "conf/tracking/mlflow.yaml").read_text(encoding="utf-8"))
    expected |= {f"tracking.{key}": value for key, value in mlflow.items() if key != "kind"}
    expected |= {key: config[key] for key in ("model", "output_root", "output_dir")}
    groups = [default for default in config["defaults"] if isinstance(default, dict)]
    expected |= {
        group: option
        for default in groups
        for group, option in default.items()
        if group in ("dataset", "backend", "params", "runner", "tracking")
    }
    shown = {key: yaml.safe_load(default or "null") for key, default in config_table().items()}
    assert expected.items() <= shown.items()


def test_the_table_names_every_option_of_every_group() -> None:
    table = README.partition("## Config")[2]
    for group in ("dataset", "backend", "params", "runner", "tracking"):
        for path in (REPOSITORY / "conf" / group).glob("*.yaml"):
            assert f"`{path.stem}`" in table


def test_every_backend_option_is_explained() -> None:
    text = README.partition("## Config")[2]
    for path in (REPOSITORY / "conf/backend").glob("*.yaml"):
        options = yaml.safe_load(path.read_text(encoding="utf-8"))["options"]
        for option in options:
            assert f"`{option}`" in text, (path.name, option)
