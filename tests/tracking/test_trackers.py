"""A tracker of other people's: one class, and an entry point."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import invalidate_caches
from typing import TYPE_CHECKING

import pytest

from conftest import rows
from lm_eval_so import RunConfig, TrackingConfig, run
from lm_eval_so.runner.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TOY = '''
import json
from pathlib import Path

from lm_eval_so.tracking.base import Entry, Tracker


class JsonTracker(Tracker):
    """Adds a line of JSON to a file for each run that has ended."""

    name = "the file of runs"

    def find_or_create(self, metadata):
        self.path = Path(self.run.tracking.uri)
        if self.run.tracking.experiment == "refused":
            raise PermissionError("not today")
        self.link = str(self.path)

    def live(self, metrics, step):
        yield Entry("live", lambda: self.path.with_suffix(".live").write_text(str(step)))

    def ended(self, metadata):
        if self.run.tracking.experiment == "broken":
            raise KeyError("a bug")
        row = {"dir": self.run.directory.name, "label": self.run.label, "state": metadata.state}
        row |= metadata.summary.status_counts
        yield Entry("the row", lambda: self._append(row))

    def _append(self, row):
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\\n")
'''
ENTRY_POINTS = "[lm_eval_so.trackers]\njson = {module}:JsonTracker\n"
CONFIG = RunConfig(backend="simulated", model="m", backend_options={"latency_ms": 1})


@pytest.fixture
def _toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package with a tracker, here and in the processes that are started."""
    module = f"toy_{tmp_path.name.replace('-', '_')}"
    site = tmp_path / "site"
    info = site / f"{module}-1.0.dist-info"
    info.mkdir(parents=True)
    (site / f"{module}.py").write_text(TOY)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS.format(module=module))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.syspath_prepend(str(site))
    invalidate_caches()


@pytest.mark.usefixtures("_toy")
def test_of_an_installed_package_is_told_from_python(
    make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    tracking = TrackingConfig(kind="json", uri=str(tmp_path / "runs.jsonl"))
    report = run(make_dataset(5), CONFIG, tracking=tracking)
    (row,) = rows(tmp_path / "runs.jsonl")
    assert row == {"dir": report.run_dir.name, "label": "", "state": "complete", "ok": 5}
    assert (tmp_path / "runs.live").read_text() == "5"


@pytest.mark.usefixtures("_toy")
def test_of_an_installed_package_is_told_of_a_sweep_by_the_command_line(
    command: Callable[..., subprocess.CompletedProcess[str]],
    make_dataset: Callable[..., Path],
    tmp_path: Path,
) -> None:
    done = command(
        *("dataset=path", f"dataset.path={make_dataset(2)}", "backend=simulated", "-m"),
        *("tracking=mlflow", "tracking.kind=json", "tracking.uri=runs.jsonl", "model=a,b"),
    )
    assert done.returncode == 0, done.stderr
    assert {row["label"] for row in rows(tmp_path / "runs.jsonl")} == {"model=a", "model=b"}


@pytest.mark.usefixtures("_toy")
@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("refused", r"lacks the whole run \(PermissionError: not today\)$"),
        ("broken", r"lacks what ended says, refused: KeyError: 'a bug'"),
    ],
)
def test_that_fails_is_told_in_one_sentence_and_the_run_is_as_it_was(
    make_dataset: Callable[..., Path], tmp_path: Path, how: str, sentence: str
) -> None:
    tracking = TrackingConfig(kind="json", uri=str(tmp_path / "runs"), experiment=how)
    with pytest.warns(UserWarning, match=f"the file of runs {sentence}"):
        report = run(make_dataset(2), CONFIG, tracking=tracking)
    assert report.exit_code == 0


@pytest.mark.usefixtures("_toy")
def test_of_an_installed_package_is_sent_run_directories(
    make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    report = run(make_dataset(3), CONFIG)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "lm_eval_so.tracking", str(report.run_dir)),
            *("--kind", "json", "--uri", "runs.jsonl"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{report.run_dir}: runs.jsonl\n"
    assert json.loads((tmp_path / "runs.jsonl").read_text())["ok"] == 3


@pytest.mark.parametrize(("kind", "hint"), [("mlfow", r"; did you mean 'mlflow'\?"), ("zzz", "")])
def test_that_is_not_known_is_one_sentence_with_the_known_ones(kind: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=rf"unknown tracker '{kind}'{hint} \(known: none, mlflow"):
        TrackingConfig(kind=kind)
