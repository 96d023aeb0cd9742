"""An address of MLflow's that is none is told before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.tracking.address import tracking_uri
from support.tracked import of_dataset

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

FAULTS = [
    "ht!tp://bad",
    "htp://127.0.0.1:5000",
    "http://127.0.0.1:1\r",
    "http://127.0.0.1:x",
    "http://",
    '"http://127.0.0.1:5000"',
    "'mlruns'",
    "mlruns\n",
]


@pytest.mark.parametrize("uri", FAULTS)
def test_a_variable_that_holds_none_is_named(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(ConfigError, match=r"^the variable MLFLOW_TRACKING_URI ") as raised:
        tracking_uri(None, tmp_path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("uri", FAULTS)
def test_an_option_that_holds_none_is_named(uri: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^tracking\.uri "):
        tracking_uri(uri, tmp_path)


@pytest.mark.parametrize(
    "uri",
    [
        "mlruns",
        "./my runs",
        "모델",
        "C:\\runs",
        "file:///tmp/mlruns",
        "file:mlruns",
        "databricks",
        "databricks://profile",
        "sqlite:///mlflow.db",
        "sqlite:////tmp/mlflow.db",
        "postgresql+psycopg2://user:password@host:5432/mlflow",
        "http://127.0.0.1:5000",
        "HTTPS://user:password@mlflow.example.com/prefix",
    ],
)
def test_what_mlflow_takes_is_taken(uri: str, tmp_path: Path) -> None:
    assert tracking_uri(uri, tmp_path) == uri


@pytest.mark.parametrize(
    ("given", "env", "named"),
    [
        ([], {"MLFLOW_TRACKING_URI": "ht!tp://x"}, "the variable MLFLOW_TRACKING_URI"),
        (["tracking.uri=gopher://x"], {}, "tracking.uri"),
    ],
    ids=["variable", "option"],
)
def test_none_runs_nothing(
    given: list[str],
    env: dict[str, str],
    named: str,
    command: Callable[..., subprocess.CompletedProcess[str]],
    make_dataset: Callable[..., Path],
    tmp_path: Path,
) -> None:
    done = command(*of_dataset(make_dataset(3), "backend=simulated", *given), env=env)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {named} ")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.rglob("run_results.jsonl"))
