"""A user without a name or a home, as in many a container."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lm_eval_so.tracking.address import tracking_uri
from support.mlflow_tree import tree
from support.tracked import of_dataset

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    import pytest

NOBODY = """
import pwd

def nobody(uid):
    raise KeyError(uid)

pwd.getpwuid = nobody
"""


def test_a_user_without_name_and_home_is_tracked(
    command: Callable[..., subprocess.CompletedProcess[str]],
    make_dataset: Callable[..., Path],
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "sitecustomize.py").write_text(NOBODY)
    for name in ("HOME", "USER", "LOGNAME", "USERNAME", "LNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    )
    done = command(*of_dataset(make_dataset(3), "backend=simulated", f"tracking.uri={database}"))
    assert done.returncode == 0, done.stderr
    assert "MLflow lacks" not in done.stderr
    (run,) = tree(tracking_uri(database, tmp_path), "numbers").values()
    assert run.status == "FINISHED"
