"""What cannot be merged is one sentence, and nothing is written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.merge.cli import main
from lm_eval_so.runner.hydra_app.app import main as app
from lm_eval_so.runner.store.lock import DirectoryLock
from support.merge_runs import ok

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Left = Callable[..., Path]


@pytest.fixture(autouse=True)
def _parts(left: Left, tmp_path: Path) -> None:
    left("a", [ok(0)], identity={"model": "m", "dataset": "numbers"})
    left("model", [ok(1)], identity={"model": "n", "dataset": "numbers"}, fingerprint="g")
    identity = {"model": "m", "dataset": "numbers"}
    left("hidden", [ok(1)], identity=identity, fingerprint="g")
    left("repeats", [ok(1)], identity=identity, repeats=3)
    left("dataset", [ok(1)], identity=identity, dataset={"sha256": "ab" * 32})
    left("prompt", [ok(1)], identity=identity, prompt={"label": "p", "digest": "d"})
    left("newer", [ok(1)], identity=identity)
    rewrite(tmp_path / "newer", schema_version=99)
    left("damaged", [ok(1)])
    (tmp_path / "damaged/run_metadata.json").write_text("{")
    (tmp_path / "empty").mkdir()
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday/photo.jpg").write_text("x")
    (tmp_path / "lines").mkdir()
    (tmp_path / "lines/run_results.jsonl").write_text("x")
    (tmp_path / "file").write_text("x")


def rewrite(directory: Path, **changed: object) -> None:
    path = directory / "run_metadata.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
    }


def _words(value: object) -> str:
    return " ".join(value) if isinstance(value, list) else ""


REFUSED = [
    (["a", "none"], "none does not exist; name run directories"),
    (["a", "empty"], "empty holds no run (no run_metadata.json); name run directories"),
    (["a", "file"], "file holds no run (no run_metadata.json); name run directories"),
    (
        ["a", "model"],
        "model cannot be merged with a: another configuration: model is 'm' there and 'n' here",
    ),
    (
        ["a", "hidden"],
        (
            "hidden cannot be merged with a: another configuration, in a secret or an option that "
            "is not written down"
        ),
    ),
    (["a", "repeats"], "repeats cannot be merged with a: repeats is 1 there and 3 here"),
    (["a", "prompt"], "prompt cannot be merged with a: the prompt of this name has another text"),
    (
        ["a", "newer"],
        (
            "newer/run_metadata.json has schema_version 99, and this release of lm-eval-so "
            "understands up to 1; update lm-eval-so to resume"
        ),
    ),
    (["a", "--to", "file"], "--to file is a file; name a directory"),
    (
        ["a", "--to", "holiday"],
        "--to holiday is no run directory, and holds photo.jpg; name a new directory",
    ),
    (
        ["a", "--to", "lines"],
        "--to lines is no run directory, and holds run_results.jsonl; name a new directory",
    ),
    (
        ["a", "--to", "model"],
        "model cannot be merged with a: another configuration: model is 'm' there and 'n' here",
    ),
    (
        ["a", "--dataset", "none"],
        (
            "the dataset of the runs cannot be read: dataset none does not exist; say where it is "
            "with --dataset PATH"
        ),
    ),
    (
        ["--to", "whole"],
        "the following arguments are required: DIR (see lm-eval-so merge --help)",
    ),
]


@pytest.mark.parametrize(("arguments", "sentence"), REFUSED, ids=_words)
def test_what_cannot_be_merged_is_one_sentence_and_changes_nothing(
    arguments: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(tmp_path)
    to = [] if "--to" in arguments else ["--to", "whole"]
    assert main([*arguments, *to]) == 2
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", f"error: {sentence}\n")
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a", "dataset"], "another version of the dataset: its sha256 is "),
        (["a", "damaged"], "damaged/run_metadata.json cannot be read ("),
    ],
)
def test_a_damaged_part_and_one_of_another_dataset_are_refused(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--to", "whole"]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "whole").exists()


def test_a_dataset_that_was_edited_is_refused(
    make_dataset: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = make_dataset(5)
    assert main(["a", "--to", "whole"]) == 2
    assert capsys.readouterr().err == (
        f"error: dataset {path} is not the one of the runs any more (it has 5 samples, theirs had "
        "4, and its content differs); say where it is with --dataset PATH\n"
    )
    assert not (tmp_path / "whole").exists()


@pytest.mark.parametrize("used", ["a", "whole"])
def test_a_directory_in_use_is_refused(
    used: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(tmp_path / "a")
    with DirectoryLock(tmp_path / used):
        assert main(["a", "--to", "whole"]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: {used} is in use by another process (pid {os.getpid()} on ")
    assert told.count("\n") == 1
    assert files(tmp_path / "a").keys() - {".lock"} == before.keys()
    assert not (tmp_path / "whole/run_results.jsonl").exists()


def test_it_is_a_command_and_a_module_and_a_wrong_word_names_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert app(["merge", "--help"]) == 0
    assert capsys.readouterr().out.startswith("usage: lm-eval-so merge")
    assert app(["marge"]) == 2
    assert "did you mean 'merge'?" in capsys.readouterr().err
    module = [sys.executable, "-m", "lm_eval_so.merge", "a", "--to", "whole"]
    assert subprocess.run(module, check=False, capture_output=True).returncode == 2  # 3 are owed
