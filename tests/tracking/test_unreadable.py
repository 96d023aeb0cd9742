"""Run directories that cannot be read are told in one sentence."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from lm_eval_so import RunConfig, run
from lm_eval_so.runner.errors import NewerVersionError, StoreError
from lm_eval_so.tracking.base import metadata_of
from lm_eval_so.tracking.record import results_table
from lm_eval_so.utils import PipelineContext

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lm_eval_so import RunReport


@pytest.fixture
def report(make_dataset: Callable[..., Path]) -> RunReport:
    options = {"latency_ms": 1}
    return run(make_dataset(2), RunConfig(backend="simulated", model="m", backend_options=options))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"summary": 3}'])
def test_a_damaged_file_is_one_sentence(report: RunReport, text: str) -> None:
    report.metadata_path.write_text(text)
    with pytest.raises(StoreError, match=r"run_metadata\.json cannot be read"):
        metadata_of(report.run_dir)


def test_a_newer_release_is_named(report: RunReport) -> None:
    report.metadata_path.write_text(json.dumps({"schema_version": 2}))
    with pytest.raises(NewerVersionError, match=r"run_metadata\.json has schema_version 2"):
        metadata_of(report.run_dir)


def test_lines_of_a_newer_release_are_no_table(report: RunReport) -> None:
    path = report.results_path
    path.write_text(path.read_text().replace('"schema_version":2', '"schema_version":3', 1))
    with pytest.raises(NewerVersionError, match=r"run_results\.jsonl has schema_version 3"):
        results_table(report.run_dir)


def test_a_pipeline_says_it_and_goes_on(report: RunReport, database: str, tmp_path: Path) -> None:
    report.metadata_path.write_text("[]")
    with PipelineContext("e", tmp_path / "pipeline", tracking_uri=database) as pipeline:
        with pipeline.step("one"), pytest.raises(StoreError, match="cannot be read"):
            pipeline.log_report(report)
        with pipeline.step("two"):
            pipeline.log_metric("count", 1)
