"""Runs that MLflow was told of."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from conftest import rows
from lm_eval_so.runner.store.metadata import read_metadata
from lm_eval_so.tracking.names import flat
from support.mlflow_tree import Node, tree

if TYPE_CHECKING:
    from collections.abc import Callable


def of_dataset(path: Path, *more: str) -> list[str]:
    return ["dataset=path", f"dataset.path={path}", "tracking=mlflow", *more]


def numbers_of(directory: Path) -> dict[str, float]:
    metadata = read_metadata(directory)
    assert metadata is not None
    assert metadata.summary is not None
    summary = flat(metadata.summary.model_dump(exclude={"system_fingerprints"}))
    return {k: v for k, v in summary.items() if isinstance(v, int | float)}


def assert_equals_the_summary(node: Node, directory: Path) -> None:
    metrics = {k: v for k, v in node.metrics.items() if not k.startswith("live/")}
    summary = numbers_of(directory)
    assert {k: metrics[k] for k in summary} == pytest.approx(summary)
    assert all(metrics[k] == 0 for k in metrics.keys() - summary.keys())


def run_dir(node: Node) -> Path:
    return Path(node.tags["lm_eval_so.run_dir"])


def wait_for(condition: Callable[[], bool], seconds: float = 100) -> None:
    until = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except (AssertionError, ValueError, MlflowException):
            pass  # the experiment or its run is not there yet, or the database is in use
        assert time.monotonic() < until
        time.sleep(0.1)


def only(uri: str, experiment: str = "numbers") -> Node:
    (found,) = tree(uri, experiment).values()
    return found


def results_of(node: Node) -> list[dict[str, Any]]:
    return rows(run_dir(node) / "run_results.jsonl")


def traces(uri: str, node: Node) -> dict[str, Any]:
    found = MlflowClient(uri).search_traces(
        locations=[node.run.info.experiment_id], run_id=node.run.info.run_id, max_results=500
    )
    by_sample = {trace.info.tags["lm_eval_so.sample_id"]: trace for trace in found}
    assert len(by_sample) == len(found), "two traces of one sample"
    return by_sample
