"""What a command has run decides its exit code, and a task takes none of it elsewhere."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from lm_eval_so.runner.hydra_app.command import Command
from lm_eval_so.runner.hydra_app.hydra_task import HydraTask, Sweep
from lm_eval_so.runner.run.exit_code import ExitCode
from lm_eval_so.runner.sweep.cell import CellOutcome

ARRIVES = """
import pickle, signal, sys
from pathlib import Path
from lm_eval_so.runner.hydra_app.launch.signals import may_begin_cell
from lm_eval_so.runner.hydra_app.scratch import scratch_dir

task = pickle.load(sys.stdin.buffer)
assert task.command.resume_command == "again"
assert task.command.outcomes == {}
assert task.within(task._sweep)._elsewhere
assert Path(scratch_dir()) == Path("shared")
assert may_begin_cell()
signal.raise_signal(signal.SIGTERM)
assert not may_begin_cell()
"""


@pytest.mark.parametrize(
    ("cells", "sweep", "code"),
    [
        pytest.param([], None, ExitCode.OK, id="nothing-ran"),
        pytest.param([0], None, ExitCode.OK, id="ok"),
        pytest.param([0, 2, 1], None, ExitCode.NOT_CARRIED_OUT, id="worst-cell"),
        pytest.param([0, 130], None, ExitCode.INTERRUPTED, id="signal"),
        pytest.param([0, 1], 2, ExitCode.NOT_CARRIED_OUT, id="sweeper-knows-more"),
        pytest.param([1], 0, ExitCode.OK, id="sweeper-has-the-last-word"),
    ],
)
def test_the_worst_cell_decides_unless_a_sweeper_tells(
    cells: list[int], sweep: int | None, code: ExitCode
) -> None:
    command = Command("again")
    for number, exit_code in enumerate(cells):
        outcome = CellOutcome(exit_code)
        assert command.run(number, lambda outcome=outcome: outcome) is outcome
    if sweep is not None:
        command.end_sweep(sweep)
    assert command.exit_code == code
    assert command.has_composed is bool(cells)


def test_a_task_that_is_sent_to_a_launcher_begins_anew() -> None:
    command = Command("again")
    command.run(0, lambda: CellOutcome(ExitCode.SAMPLES_FAILED))
    task = HydraTask(command).within(Sweep(Path("shared"), ("a", "b")))
    done = subprocess.run(
        [sys.executable, "-c", ARRIVES],
        input=pickle.dumps(task),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode()
