"""How long the end of a run waits for the process that follows it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.tracking import process as module
from lm_eval_so.tracking.base import End
from lm_eval_so.tracking.process import TrackerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WORKER = """
import sys, time
from lm_eval_so.tracking.base import MESSAGES, Report

for line in sys.stdin.buffer:
    end = MESSAGES.validate_json(line)
    time.sleep({first})  # MLflow is imported, and a database is made
    print(Report(directory=end.directory, missing=("params",)).model_dump_json(), flush={rest} > 0)
    time.sleep({rest})
    print(Report(directory=end.directory, final=True).model_dump_json(), flush=True)
"""


@pytest.fixture
def process(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TrackerProcess]:
    """With a process that takes so many seconds for its first answer, and for the rest."""
    first, rest = request.param
    script = tmp_path / "worker.py"
    script.write_text(WORKER.format(first=first, rest=rest))
    monkeypatch.setattr(module, "_WORKER", [sys.executable, str(script)])
    started = TrackerProcess()
    yield started
    started.close()


@pytest.mark.parametrize("process", [(2, 0)], indirect=True)
def test_the_time_counts_from_the_first_answer(process: TrackerProcess, tmp_path: Path) -> None:
    report = process.ask(End(directory=tmp_path, timeout=0.5), grace=0.5)
    assert report is not None
    assert (report.final, report.missing) == (True, ())


@pytest.mark.parametrize("process", [(0, 100)], indirect=True)
def test_after_the_first_answer_it_is_waited_for_no_longer_than_told(
    process: TrackerProcess, tmp_path: Path
) -> None:
    report = process.ask(End(directory=tmp_path, timeout=0.5), grace=0.5)
    assert report is not None
    assert (report.final, report.missing, report.reason) == (
        False,
        ("params",),
        "no answer in 0.5 s",
    )


@pytest.mark.parametrize("process", [(100, 0)], indirect=True)
def test_who_wants_to_leave_does_not_wait_for_a_first_answer(
    process: TrackerProcess, tmp_path: Path
) -> None:
    report = process.ask(End(directory=tmp_path, timeout=0.2), grace=0.2, first=0)
    assert report is not None
    assert not report.final
    assert report.reason == "no answer in 0.2 s"
