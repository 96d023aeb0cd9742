"""An edited dataset goes on in its directory; another one with the same id gets its own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from conftest import rows
from lm_eval_so import RunConfig, RunReport, run
from lm_eval_so.runner.config.run_path import earlier_directory, run_directory
from lm_eval_so.runner.errors import ForeignRunError
from lm_eval_so.runner.hydra_app import app

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIG = RunConfig(backend="simulated", model="m", backend_options={"latency_ms": 1})


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a dataset with the id ``same`` into a folder."""

    def write(folder: str, *questions: str, ids: str = "s") -> Path:
        path = tmp_path / folder
        path.mkdir(exist_ok=True)
        samples = [
            {"id": f"{ids}{n}", "messages": [{"role": "user", "content": question}]}
            for n, question in enumerate(questions)
        ]
        (path / "test.jsonl").write_text("".join(json.dumps(x) + "\n" for x in samples))
        (path / "metadata.json").write_text('{"dataset_id": "same"}')
        return path

    return write


def sent(report: RunReport) -> int:
    assert report.summary is not None
    return report.summary.requests


def questions_in(directory: Path) -> list[str]:
    lines = rows(directory / "run_results.jsonl")
    return [line["request_messages"][-1]["content"] for line in lines]


@pytest.mark.parametrize("ids", ["s", "t"], ids=["numbered-alike", "other-ids"])
def test_another_dataset_with_the_same_id_takes_nothing_out(
    write: Callable[..., Path], ids: str
) -> None:
    one, two = write("one", "a", "b", "c"), write("two", "x", "y", "z", ids=ids)
    first, second = run(one, CONFIG), run(two, CONFIG)
    assert first.run_dir != second.run_dir
    assert questions_in(first.run_dir) == ["a", "b", "c"]
    assert questions_in(second.run_dir) == ["x", "y", "z"]
    for data, report in ((one, first), (two, second)):
        again = run(data, CONFIG)
        assert (again.run_dir, sent(again)) == (report.run_dir, 0)


def test_each_finds_its_own_when_the_other_is_gone(write: Callable[..., Path]) -> None:
    one, two = write("one", "a", "b"), write("two", "x", "y")
    first, second = run(one, CONFIG), run(two, CONFIG)
    shutil.rmtree(first.run_dir)
    again = run(two, CONFIG)
    assert (again.run_dir, sent(again)) == (second.run_dir, 0)


def test_a_third_one_has_a_directory_too(write: Callable[..., Path]) -> None:
    folders = {run(write(name, name), CONFIG).run_dir for name in ("one", "two", "three")}
    assert len(folders) == 3


@pytest.mark.parametrize("questions", [("a", "b", "new"), ("a", "b", "c", "d"), ("x", "y", "z")])
def test_a_dataset_edited_in_its_place_goes_on(
    write: Callable[..., Path], questions: tuple[str, ...]
) -> None:
    first = run(write("one", "a", "b", "c"), CONFIG)
    second = run(write("one", *questions), CONFIG)
    assert second.run_dir == first.run_dir
    assert sent(second) == len(set(questions) - {"a", "b", "c"})


@pytest.mark.parametrize("questions", [("a", "b", "c"), ("a", "b", "new"), ("a", "b", "c", "d")])
def test_a_dataset_moved_and_edited_goes_on(
    write: Callable[..., Path], questions: tuple[str, ...]
) -> None:
    first = run(write("one", "a", "b", "c"), CONFIG)
    second = run(write("moved", *questions), CONFIG)
    assert second.run_dir == first.run_dir
    assert sent(second) == len(set(questions) - {"a", "b", "c"})


def test_a_pilot_that_grew_elsewhere_goes_on(write: Callable[..., Path]) -> None:
    first = run(write("pilot", "a", "b"), CONFIG)
    second = run(write("whole", "a", "b", *"cdefghijklmnopqrstuvwxyz"), CONFIG)
    assert second.run_dir == first.run_dir
    assert sent(second) == 24


def test_a_link_is_the_same_dataset(write: Callable[..., Path], tmp_path: Path) -> None:
    first = run(write("one", "a"), CONFIG)
    (tmp_path / "link").symlink_to(tmp_path / "one")
    write("one", "edited")
    assert run(tmp_path / "link", CONFIG).run_dir == first.run_dir


def test_a_named_directory_with_another_dataset_is_refused(write: Callable[..., Path]) -> None:
    one, two = write("one", "a", "b"), write("two", "x", "y")
    run(one, CONFIG, output_dir="o")
    with pytest.raises(ForeignRunError, match="results of another dataset with the id 'same'"):
        run(two, CONFIG, output_dir="o")
    assert questions_in(Path("o")) == ["a", "b"]


def test_a_named_directory_without_results_is_nobodys(write: Callable[..., Path]) -> None:
    report = run(write("one", "a"), CONFIG, output_dir="o")
    report.results_path.write_bytes(b"")
    assert run(write("two", "x"), CONFIG, output_dir="o").state == "complete"


@pytest.mark.parametrize("path", ["relative", "absolute"])
def test_a_directory_of_an_earlier_version_goes_on(
    write: Callable[..., Path], tmp_path: Path, path: str
) -> None:
    data = write("one", "a", "b")
    config = CONFIG.model_copy(update={"parameters": {"stop": ["x"], "extra": {"a": 1}}})
    first = run(data.relative_to(tmp_path) if path == "relative" else data, config)
    metadata: dict[str, Any] = orjson.loads(first.metadata_path.read_bytes())
    del metadata["dataset"]["location"]
    first.metadata_path.write_bytes(orjson.dumps(metadata))
    old = earlier_directory(Path("outputs"), metadata["identity"])
    assert first.run_dir == run_directory(Path("outputs"), metadata["identity"]) != old
    first.run_dir.rename(old)
    write("one", "a", "edited")
    again = run(data.relative_to(tmp_path) if path == "relative" else data, config)
    assert (again.run_dir, sent(again)) == (old, 1)


SWEEP = ["backend=simulated", "backend.options.latency_ms=1", "model=m", "dataset=path", "-m"]


@pytest.mark.parametrize("launcher", [[], ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]])
def test_a_sweep_over_both_keeps_them_apart(
    write: Callable[..., Path], tmp_path: Path, launcher: list[str]
) -> None:
    one, two = write("one", "a", "b"), write("two", "x", "y")
    sweep = [*SWEEP, f"dataset.path={one},{two}", *launcher]
    assert app.main(sweep) == 0
    found = sorted(path.parent for path in tmp_path.rglob("run_results.jsonl"))
    assert sorted(map(questions_in, found)) == [["a", "b"], ["x", "y"]]
    before = [(path / "run_results.jsonl").read_bytes() for path in found]
    assert app.main(sweep) == 0
    assert [(path / "run_results.jsonl").read_bytes() for path in found] == before
    config = CONFIG.model_copy(update={"backend_options": {"latency_ms": 1}})
    assert run(two, config).run_dir.resolve() in found


def test_a_sweep_over_two_versions_of_one_dataset_keeps_them_apart(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    one, two = write("v1", "a", "b", "c"), write("v2", "a", "b", "new")
    assert run(one, CONFIG).exit_code == 0
    assert app.main([*SWEEP, f"dataset.path={two},{one}"]) == 0
    found = sorted(path.parent for path in tmp_path.rglob("run_results.jsonl"))
    assert sorted(map(questions_in, found)) == [["a", "b", "c"], ["a", "b", "new"]]


def test_a_sweep_over_one_dataset_and_its_copy_is_refused(
    write: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = write("one", "a"), write("copy", "a")
    assert app.main([*SWEEP, f"dataset.path={one},{two}"]) == 2
    assert (
        "the settings that differ (dataset.path) do not change the answers"
        in capsys.readouterr().err
    )
