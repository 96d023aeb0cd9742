"""Engines are picked by ``engine.kind``, and one goes on where another stopped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import invalidate_caches
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conftest import program
from lm_eval_so import ChatResponse, RunConfig, RunRequest, run
from lm_eval_so.runner.errors import BadRequestError, ConfigError
from support.lots import LOT

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIG = RunConfig(backend="custom", model="m")
SIMULATED = RunConfig(backend="simulated", model="m")
TESTS = Path(__file__).parents[2]


@pytest.fixture
def lots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package with an engine; returns where it is installed."""
    info = tmp_path / "site" / "lots-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lots\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[lm_eval_so.engines]\nlots = support.lots:LotsEngine\n")
    monkeypatch.syspath_prepend(str(info.parent))
    invalidate_caches()
    return info.parent


@pytest.mark.usefixtures("lots")
def test_what_one_engine_begins_another_finishes(
    tmp_path: Path, make_dataset: Callable[[int], Path]
) -> None:
    asked: list[str] = []
    broken = True

    async def send(request: RunRequest) -> ChatResponse:
        asked.append(request.sample_id)
        if request.sample_id == "s7":
            raise BadRequestError("no", status_code=400)
        if request.sample_id == "s150" and broken:
            raise ValueError("a bug")
        return ChatResponse(text="fine")

    dataset, output = make_dataset(3 * LOT), tmp_path / "run"
    with pytest.raises(ValueError, match="a bug"):
        run(dataset, CONFIG, backend=send, engine="lots", output_dir=output)
    metadata = json.loads((output / "run_metadata.json").read_text())
    assert (metadata["engine"], metadata["state"]) == ("lots", "aborted")
    assert metadata["lots"] == [LOT, LOT]
    assert metadata["summary"]["status_counts"] == {"ok": LOT - 1, "error": 1, "owed": 2 * LOT}
    asked.clear()
    broken = False
    report = run(dataset, CONFIG, backend=send, output_dir=output)
    assert report.summary is not None
    assert report.summary.status_counts == {"ok": 3 * LOT - 1, "error": 1}
    assert sorted(asked) == sorted(["s7", *(f"s{n}" for n in range(LOT, 3 * LOT))])
    assert [result.sample_id for result in report.results()] == [f"s{n}" for n in range(3 * LOT)]


def test_an_engine_is_chosen_on_the_command_line(lots: Path, tmp_path: Path) -> None:
    words = ["backend=simulated", "engine.kind=lots", f"output_dir={tmp_path / 'run'}"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(lots), str(TESTS), *_path()])}
    subprocess.run([*program(), *words], env=env, check=True)
    metadata = json.loads((tmp_path / "run" / "run_metadata.json").read_text())
    assert (metadata["engine"], metadata["state"], metadata["lots"]) == ("lots", "complete", [3])
    assert metadata["summary"]["requests"] == 3


@pytest.mark.usefixtures("lots")
def test_an_unknown_engine_is_refused_before_anything_is_written(
    tmp_path: Path, make_dataset: Callable[[int], Path]
) -> None:
    async def send(_: RunRequest) -> ChatResponse:
        raise AssertionError

    with pytest.raises(
        ConfigError, match=r"'lot'; did you mean 'lots'\? \(known: lots, ray, sync\)"
    ):
        run(make_dataset(1), CONFIG, backend=send, engine="lot", output_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def _path() -> list[str]:
    return [path for path in [os.environ.get("PYTHONPATH")] if path]


@pytest.mark.parametrize(
    ("point", "sentence"),
    [
        ("no_such_module:Engine", "of an installed package fails: No module named"),
        (
            "support.lots:NoEngine",
            "of an installed package fails: module 'support.lots' has no attribute",
        ),
        ("builtins:object", "of an installed package fails: object\\(\\) takes no arguments"),
    ],
)
def test_a_broken_engine_of_a_package_is_one_sentence(
    lots: Path, tmp_path: Path, make_dataset: Callable[[int], Path], point: str, sentence: str
) -> None:
    info = lots / "lots-1.0.dist-info"
    (info / "entry_points.txt").write_text(f"[lm_eval_so.engines]\nlots = {point}\n")
    invalidate_caches()
    with pytest.raises(ConfigError, match=sentence):
        run(make_dataset(1), RunConfig(backend="simulated", model="m"), engine="lots")
    assert not (tmp_path / "outputs").exists()


def test_a_flag_chooses_an_installed_engine(
    lots: Path, tmp_path: Path, make_dataset: Callable[[int], Path]
) -> None:
    words = ["--dataset", str(make_dataset(3)), "--backend", "simulated"]
    words += ["--engine", "lots", "--output-dir", str(tmp_path / "run")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(lots), str(TESTS), *_path()])}
    subprocess.run([*program("cli"), *words], env=env, check=True)
    metadata = json.loads((tmp_path / "run" / "run_metadata.json").read_text())
    assert metadata["engine"] == "lots"


def test_a_ray_that_is_not_installed_is_named_with_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_dataset: Callable[[int], Path]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # as if there were none
    monkeypatch.delitem(sys.modules, "lm_eval_so.runner.engine.ray.engine", raising=False)
    with pytest.raises(ConfigError, match=r"pip install 'lm-eval-so\[ray\]'"):
        run(make_dataset(1), SIMULATED, engine="ray", output_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()
