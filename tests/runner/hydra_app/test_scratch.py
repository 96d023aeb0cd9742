"""A sweep needs no temporary folder."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

NO_TEMPORARY_FOLDER = """
import tempfile

tempfile._candidate_tempdir_list = lambda: ["/nonexistent"]
"""


@pytest.mark.parametrize(
    "more",
    [
        ["model=a,b"],
        ["model=a,b", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
        ["model=a,b", "hydra/launcher=submitit_local"],
    ],
    ids=["basic", "joblib", "submitit"],
)
def test_where_no_temporary_folder_can_be_written_a_sweep_runs(
    more: list[str],
    command: Callable[..., subprocess.CompletedProcess[str]],
    make_dataset: Callable[..., Path],
    tmp_path: Path,
) -> None:
    (tmp_path / "sitecustomize.py").write_text(NO_TEMPORARY_FOLDER)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = command(
        *("-m", "backend=simulated", "dataset=path", f"dataset.path={make_dataset(2)}"),
        *("output_root=results", *more),
        env={"PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("results/numbers/*/run_results.jsonl"))) == 2
    assert not list(tmp_path.glob("results/.scratch-*")), "and nothing of it is left"
