from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.runner.errors import (
    BackendUnusableError,
    BudgetSpentError,
    DatasetError,
    StoreError,
)
from lm_eval_so.runner.progress.ending import explain
from lm_eval_so.runner.run.report import RunReport
from lm_eval_so.runner.run.signals import InterruptedRunError
from lm_eval_so.runner.store.run_metadata import SelectionRecord

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

AGAIN = "lm-eval-so model=m"


def report(fault: BaseException | None, directory: Path) -> RunReport:
    return RunReport(
        state="aborted",
        run_dir=directory,
        results_path=directory / "run_results.jsonl",
        metadata_path=directory / "run_metadata.json",
        summary=None,
        selection=SelectionRecord(selected=1, of=1),
        fault=fault,
        exit_code=2,
    )


def told(caplog: pytest.LogCaptureFixture, fault: BaseException, directory: Path) -> str:
    caplog.set_level(logging.INFO, logger="lm_eval_so")
    explain(report(fault, directory), AGAIN)
    (record,) = caplog.records
    return record.getMessage()


@pytest.mark.parametrize(
    "fault",
    [
        BackendUnusableError("no model 'x'; it has a, b"),
        BackendUnusableError("wrong key: check the key in the variable OPENAI_API_KEY"),
        BudgetSpentError("requests", 10, 10),
    ],
    ids=["model", "key", "budget"],
)
def test_a_command_that_must_fail_again_is_not_named(
    fault: Exception, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    sentence = told(caplog, fault, tmp_path)
    assert sentence.startswith(str(fault))
    assert "esume with" not in sentence
    assert AGAIN not in sentence
    assert "resume" in sentence, "nothing is lost, and that is said"


@pytest.mark.parametrize(
    "fault",
    [*map(InterruptedRunError, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)), DatasetError("x")],
    ids=["ctrl-c", "term", "hup", "dataset"],
)
def test_a_command_that_goes_on_is_named(
    fault: Exception, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    assert told(caplog, fault, tmp_path).endswith(f" Resume with: {AGAIN}")


def test_a_disk_is_to_be_mended_first(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    fault = StoreError("cannot write x: No space left on device")
    assert told(caplog, fault, tmp_path) == f"{fault}. Fix this, then resume with: {AGAIN}"


def test_a_run_that_came_to_its_end_needs_no_word(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    assert explain(report(None, tmp_path), AGAIN) is None
    assert not caplog.records


OWN_BACKEND = """
from lm_eval_so.runner.hydra_app import app
from lm_eval_so.runner.backends.simulated import SimulatedBackend

def look_up(table):
    return table["key"]

async def send(self, request):
    {body}

SimulatedBackend.send = send
app.script()
"""


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("return look_up({})", "the backend broke: KeyError: 'key' ({script}:9, in send)"),
        ("raise ValueError('two\\nlines')", "ValueError: two\\nlines ({script}:9, in send)"),
        ("import json; json.loads('{{')", "JSONDecodeError: Expecting property name"),
    ],
    ids=["key", "value", "library"],
)
def test_a_users_own_backend_that_breaks_is_one_sentence_and_a_traceback_in_the_log(
    body: str, sentence: str, make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    script = tmp_path / "own.py"
    script.write_text(OWN_BACKEND.replace("{body}", body.replace("{{", "{")))
    run = [f"dataset.path={make_dataset(3)}", "dataset=path", "output_dir=run", "model=m"]
    done = subprocess.run(
        [sys.executable, str(script), "backend=simulated", *run],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert sentence.format(script=script) in done.stderr
    assert "the traceback is in run/run.log" in done.stderr
    log = (tmp_path / "run" / "run.log").read_text()
    assert "Traceback" in log
    assert log.index(sentence.format(script=script)) < log.index("Traceback")


def test_a_bug_beyond_the_backend_is_told_with_its_place(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    try:
        {}["key"]
    except KeyError as fault:
        sentence = told(caplog, fault, tmp_path)
    assert sentence.startswith(f"a bug: KeyError: 'key' ({__file__}:")
    assert sentence.endswith(f"the traceback is in {tmp_path / 'run.log'}")
