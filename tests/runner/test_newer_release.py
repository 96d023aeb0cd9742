"""What a newer release has written is refused in one sentence, and left as it is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conftest import rows
from lm_eval_so import LmEvalError, RunConfig, read_results, run
from lm_eval_so.runner.errors import NewerVersionError, StoreError
from lm_eval_so.runner.store.line import read_line, read_whole
from lm_eval_so.runner.sweep.__main__ import main

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    Command = Callable[..., subprocess.CompletedProcess[str]]

OPTIONS = {"latency_ms": 1, "latency_sigma": 0}
CONFIG = RunConfig(backend="simulated", model="m", backend_options=OPTIONS)
METADATA, RESULTS, ASIDE = (
    "run_metadata.json",
    "run_results.jsonl",
    "superseded_results.jsonl",
)


@pytest.fixture
def directory(make_dataset: Callable[..., Path], tmp_path: Path) -> Path:
    """Of a run of three samples, the first of which is asked anew."""
    done = run(make_dataset(3), CONFIG, output_dir="run")
    make_dataset(3, s0="another question")
    return tmp_path / done.run_dir


def content(directory: Path) -> dict[str, bytes]:
    """All files, but for the lock that every command takes."""
    return {
        path.name: path.read_bytes()
        for path in directory.iterdir()
        if not path.name.startswith(".lock")
    }


def new_metadata(directory: Path) -> str:
    path = directory / METADATA
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 9}))
    return METADATA


def metadata_of_another_shape(directory: Path) -> str:
    (directory / METADATA).write_text(json.dumps({"schema_version": 9, "runs": []}))
    return METADATA


def change_line(directory: Path, number: int, changed: dict[str, Any]) -> str:
    lines = rows(directory / RESULTS)
    lines[number] = {**lines[number], **changed}
    (directory / RESULTS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return RESULTS


def new_line(directory: Path) -> str:
    return change_line(directory, 1, {"schema_version": 9})


def line_of_another_shape(directory: Path) -> str:
    return change_line(directory, 2, {"schema_version": 9, "request_key": None, "answers": []})


def new_line_in_a_torn_file(directory: Path) -> str:
    new_line(directory)
    with (directory / RESULTS).open("a") as file:
        file.write('{"schema_version": 9, "sample_i')
    return RESULTS


def new_last_line_without_its_end(directory: Path) -> str:
    change_line(directory, 2, {"schema_version": 9})
    path = directory / RESULTS
    path.write_bytes(path.read_bytes().removesuffix(b"\n"))
    return RESULTS


def new_line_that_was_set_aside(directory: Path) -> str:
    line = rows(directory / RESULTS)[0]
    (directory / ASIDE).write_text(json.dumps({**line, "schema_version": 9}) + "\n")
    return ASIDE


def new_total(directory: Path) -> str:
    (directory / "spent.json").write_text('{"schema_version": 9, "requests": {"sent": 3}}')
    return "spent.json"


NEWER = [
    new_metadata,
    metadata_of_another_shape,
    new_line,
    line_of_another_shape,
    new_line_in_a_torn_file,
    new_last_line_without_its_end,
    new_line_that_was_set_aside,
    new_total,
]
NEWER_LINES = [new_line, line_of_another_shape, new_last_line_without_its_end]
each_newer = pytest.mark.parametrize("newer", NEWER, ids=lambda make: make.__name__)
each_newer_line = pytest.mark.parametrize("newer", NEWER_LINES, ids=lambda make: make.__name__)


@each_newer
def test_a_run_refuses_to_go_on_and_changes_nothing(
    directory: Path, newer: Callable[[Path], str]
) -> None:
    name = newer(directory)
    before = content(directory)
    with pytest.raises(LmEvalError) as refused:
        run("numbers", CONFIG, output_dir="run")
    assert isinstance(refused.value, NewerVersionError)
    sentence = str(refused.value)
    assert name in sentence
    assert re.search(r"understands up to [12]; update lm-eval-so", sentence)
    assert content(directory) == before


@pytest.mark.parametrize("newer", [new_metadata, new_line], ids=lambda make: make.__name__)
@pytest.mark.parametrize("where", [["output_dir=run"], []], ids=["given", "found"])
def test_the_command_line_refuses_it_in_one_sentence_and_sends_nothing(
    newer: Callable[[Path], str],
    where: list[str],
    command: Command,
    make_dataset: Callable[..., Path],
) -> None:
    dataset = make_dataset(3)
    words = ["dataset=path", f"dataset.path={dataset}", "backend=simulated", *where]
    assert command(*words).returncode == 0
    make_dataset(3, s0="another question")
    (directory,) = (path.parent for path in dataset.parent.rglob(METADATA))
    name = newer(directory)
    before = content(directory)
    refused = command(*words)
    assert refused.returncode == 2
    assert f"{name} has schema_version 9" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert content(directory) == before
    assert len(list(directory.parent.glob(f"*/{METADATA}"))) == 1


def test_a_file_of_lines_without_a_version_is_gone_on_with(directory: Path) -> None:
    lines = rows(directory / RESULTS)
    for line, version in zip(lines, (None, 0, "of somebody's own"), strict=True):
        line.pop("schema_version")
        if version is not None:
            line["schema_version"] = version
    (directory / RESULTS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = run("numbers", CONFIG, output_dir="run")
    assert done.summary is not None
    assert (done.summary.requests, done.summary.resumed) == (1, 2)


@each_newer_line
def test_its_results_are_not_read(directory: Path, newer: Callable[[Path], str]) -> None:
    newer(directory)
    with pytest.raises(StoreError, match=r"run_results\.jsonl has schema_version 9"):
        list(read_results(directory))


@each_newer_line
def test_its_results_are_not_set_side_by_side(
    directory: Path, newer: Callable[[Path], str], capsys: pytest.CaptureFixture[str]
) -> None:
    newer(directory)
    assert main([str(directory)]) == 2
    told = capsys.readouterr().err
    assert f"{directory / RESULTS} has schema_version 9" in told
    assert "Traceback" not in told
    assert not Path("side_by_side.jsonl").exists()


@pytest.mark.parametrize("read", [read_line, read_whole])
@pytest.mark.parametrize("changed", [{}, {"attempts": "of another kind"}], ids=["same", "other"])
def test_a_line_is_refused_before_it_is_called_damaged(
    directory: Path, read: Callable[[bytes], object], changed: dict[str, Any]
) -> None:
    line = {**rows(directory / RESULTS)[0], **changed, "schema_version": 9}
    with pytest.raises(NewerVersionError, match="has schema_version 9"):
        read(json.dumps(line).encode())


def test_a_torn_line_of_a_newer_release_is_torn_all_the_same(directory: Path) -> None:
    line = json.dumps({**rows(directory / RESULTS)[0], "schema_version": 9})
    with pytest.raises(ValueError, match=r"EOF|end of data"):
        read_whole(line[: len(line) // 2].encode())
