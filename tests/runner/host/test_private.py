"""Files that hold prompts and answers are for their owner alone, and are never links."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from conftest import rows
from lm_eval_so.runner.hydra_app.app import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")


@pytest.fixture(autouse=True)
def _usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def modes(root: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in [root, *root.rglob("*")]}


def run(dataset: Path, *more: str) -> int:
    target = ["backend=simulated", "backend.options.latency_ms=1", "dataset=path"]
    return main([*target, f"dataset.path={dataset}", *more])


SERVER_ERRORS = "backend.options.server_error=0.5"  # for spent.json and run.log


def test_files_are_for_their_owner_alone(make_dataset: Callable[..., Path], tmp_path: Path) -> None:
    run(make_dataset(9), "output_dir=out", SERVER_ERRORS, "runner.backoff_initial=0")
    found = modes(tmp_path / "out")
    assert found.pop("out") == 0o700
    assert {*found} >= {"run_results.jsonl", "run_metadata.json", "spent.json", "run.log", ".lock"}
    assert set(found.values()) == {0o600}


def test_an_option_leaves_it_to_the_umask(
    make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    assert run(make_dataset(3), "output_dir=out", "runner.private=false") == 0
    found = modes(tmp_path / "out")
    assert found.pop("out") == 0o755
    assert set(found.values()) == {0o644}


def test_the_next_run_is_private_again(make_dataset: Callable[..., Path], tmp_path: Path) -> None:
    assert run(make_dataset(2), "output_dir=one", "runner.private=false") == 0
    assert run(make_dataset(2), "output_dir=two") == 0
    assert set(modes(tmp_path / "two").values()) == {0o600, 0o700}


@pytest.mark.parametrize("private", [True, False])
def test_a_sweep_s_record_is_no_exception(
    make_dataset: Callable[..., Path], tmp_path: Path, *, private: bool
) -> None:
    how = ["params.n=1,2", "output_root=out", "sweep_name=mine", f"runner.private={private}"]
    assert run(make_dataset(2), "-m", *how) == 0
    found = modes(tmp_path / "out" / "numbers" / "sweeps" / "mine")
    assert found.pop("mine") == (0o700 if private else 0o755)
    assert {*found} == {"sweep.json", "sweep.csv"}
    assert set(found.values()) == {0o600 if private else 0o644}


@pytest.mark.parametrize("private", [True, False])
def test_a_database_of_mlflow_is_no_exception(
    make_dataset: Callable[..., Path], tmp_path: Path, *, private: bool
) -> None:
    how = ["tracking=mlflow", "output_root=out", f"runner.private={private}"]
    assert run(make_dataset(2), *how) == 0
    found = modes(tmp_path / "out" / "mlflow.db") | modes(tmp_path / "out" / "mlartifacts")
    assert "run_results.jsonl" in found
    open_to = {0o600, 0o700} if private else {0o644, 0o755}
    assert set(found.values()) <= open_to


@pytest.mark.parametrize(
    "name", ["run_metadata.json", "run_metadata.json.tmp", "run_results.jsonl.tmp"]
)
def test_a_link_in_the_place_of_a_file_that_is_replaced_goes(
    make_dataset: Callable[..., Path], tmp_path: Path, name: str
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("{}")
    out = tmp_path / "out"
    out.mkdir()
    if name != "run_metadata.json":
        (out / name).symlink_to(precious)
    unordered = ["backend.options.latency_sigma=2", "backend.options.latency_ms=5"]
    assert run(make_dataset(30), "output_dir=out", *unordered) == 0
    if name == "run_metadata.json":
        (out / name).rename(precious)
        (out / name).symlink_to(precious)
        before = precious.read_bytes()
        assert run(make_dataset(30), "output_dir=out", *unordered) == 0
        assert precious.read_bytes() == before
    else:
        assert precious.read_text() == "{}"
    assert not (out / name).is_symlink()
    assert len(rows(out / "run_results.jsonl")) == 30


@pytest.mark.parametrize("name", [".lock", ".lock.holder", "spent.json"])
def test_a_link_in_the_place_of_a_file_that_is_written_is_refused(
    make_dataset: Callable[..., Path],
    tmp_path: Path,
    name: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    precious, out = tmp_path / "precious", tmp_path / "out"
    out.mkdir()
    (out / name).symlink_to(precious)
    assert run(make_dataset(3), "output_dir=out") == 2
    assert not precious.exists()
    assert "cannot write" in capfd.readouterr().err


def test_a_link_in_the_place_of_the_log_costs_the_log_alone(
    make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    precious, out = tmp_path / "precious", tmp_path / "out"
    precious.write_text("mine")
    out.mkdir()
    (out / "run.log").symlink_to(precious)
    assert run(make_dataset(3), "output_dir=out") == 0
    assert precious.read_text() == "mine"
