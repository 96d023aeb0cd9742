"""What users get: the wheel, in an environment that holds nothing else of ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from conftest import REPOSITORY, rows


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts folder of a new environment; what we depend on is lent from this one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    python = scripts / "python"
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--python", python),
            *("install", "--quiet", "--no-deps", "--no-index", wheel),
        ],
        check=True,
    )
    purelib = sysconfig.get_path("purelib", vars={"base": str(folder)})
    Path(purelib, "lent.pth").write_text(sysconfig.get_path("purelib"))
    return scripts


def test_conf_and_the_toy_dataset_are_in_the_wheel(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    shipped = {
        f"lm_eval_so/{path.relative_to(REPOSITORY).as_posix()}"
        for path in (REPOSITORY / "conf").rglob("*.yaml")
    }
    assert shipped <= names
    assert "lm_eval_so/example/quickstart/dataset/toy_support_qa_v1/test.jsonl" in names
    assert "lm_eval_so/py.typed" in names
    assert not [name for name in names if name.startswith(("conf/", "example/", "tests/"))]


def test_the_wheel_runs_the_toy_dataset_from_any_folder(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, "backend=simulated")
    assert done.returncode == 0, done.stderr
    (results,) = (tmp_path / "outputs").rglob("run_results.jsonl")
    assert len(rows(results)) == 3


def test_the_wheel_takes_a_users_own_config_folder(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "mine" / "backend").mkdir(parents=True)
    (tmp_path / "mine" / "backend" / "parrot.yaml").write_text(
        "kind: simulated\ndefault_model: parrot-1\noptions: {answer: fixed, text: hello}\n"
    )
    (tmp_path / "mine" / "experiment").mkdir()
    (tmp_path / "mine" / "experiment" / "hot.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /backend: parrot\nparams: {temperature: 2}\n"
    )
    done = run(installed, tmp_path, "--config-dir", "mine", "experiment=hot", "output_dir=run")
    assert done.returncode == 0, done.stderr
    lines = rows(tmp_path / "run" / "run_results.jsonl")
    assert {line["response"]["text"] for line in lines} == {"hello"}
    assert {line["run_config"]["model"] for line in lines} == {"parrot-1"}
    assert {line["run_config"]["parameters"]["temperature"] for line in lines} == {2}


def test_the_wheel_has_the_flag_shim(installed: Path, tmp_path: Path) -> None:
    done = run(
        installed, tmp_path, "--backend", "simulated", "--output-dir", "run", name="lm-eval-runner"
    )
    assert done.returncode == 0, done.stderr
    assert len(rows(tmp_path / "run" / "run_results.jsonl")) == 3


def test_an_editable_install_reads_conf_where_it_is_edited() -> None:
    assert not list((REPOSITORY / "lm_eval_so").rglob("*.yaml"))


def test_the_sdist_builds_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", tmp_path],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
    )
    (sdist,) = tmp_path.glob("*.tar.gz")
    shutil.unpack_archive(sdist, tmp_path / "unpacked", filter="data")
    (source,) = (tmp_path / "unpacked").iterdir()
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path],
        cwd=source,
        check=True,
        capture_output=True,
    )
    (again,) = tmp_path.glob("*.whl")
    assert zipfile.ZipFile(again).namelist() == zipfile.ZipFile(wheel).namelist()


def run(
    scripts: Path, folder: Path, *arguments: str, name: str = "lm-eval-so"
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [scripts / name, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
