"""What MLflow is told of a run that stays in parts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from lm_eval_so import RunConfig, RunReport, run
from lm_eval_so.runner.store.parts import layout
from lm_eval_so.tracking.__main__ import main
from lm_eval_so.tracking.live import Lines, LiveMetrics
from lm_eval_so.tracking.record import artifacts_of, results_table
from support.mlflow_tree import tree
from support.parts import RESULTS, into_parts, seal, write_part
from support.tracked import assert_equals_the_summary

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BEFORE = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def report(make_dataset: Callable[..., Path]) -> RunReport:
    config = RunConfig(backend="simulated", model="m", backend_options={"latency_ms": 1})
    return run(make_dataset(10), config)


def test_tables_and_live_metrics_are_those_of_one_file(report: RunReport) -> None:
    table = results_table(report.run_dir)
    live = LiveMetrics(report.run_dir, BEFORE).read()
    into_parts(report.run_dir, [3, 7], joined=(1,))
    assert results_table(report.run_dir) == table
    found = LiveMetrics(report.run_dir, BEFORE).read()
    rates = {"live/results_per_s", "live/tokens_per_s"}
    assert {k: v for k, v in found.items() if k not in rates} == {
        k: v for k, v in live.items() if k not in rates
    }


def test_each_line_comes_once_whatever_becomes_of_its_part(report: RunReport) -> None:
    run_dir = report.run_dir
    lines = (run_dir / RESULTS).read_bytes().splitlines(keepends=True)
    into_parts(run_dir, [5], sealed=False)
    write_part(run_dir, 0, 1, [lines[1], lines[0], lines[2][:9]])
    write_part(run_dir, 5, 2, [])
    followed = Lines(run_dir)

    def new() -> list[str]:
        return [line["sample_id"] for line in followed.new()]

    assert new() == ["s1", "s0"]
    with (run_dir / layout.PARTS / layout.part_name(0, 1)).open("ab") as part:
        part.write(lines[2][9:])
    assert new() == ["s2"]
    write_part(run_dir, 0, 3, lines[:5])  # another holder has taken over
    write_part(run_dir, 5, 2, lines[5:6])
    assert new() == ["s3", "s4", "s5"]
    sealed = run_dir / "sealed"
    sealed.write_bytes(b"".join(lines[5:]))
    sealed.replace(run_dir / layout.PARTS / layout.part_name(5, 2))
    seal(run_dir, 0, 5, 3)
    seal(run_dir, 5, 5, 2)
    assert new() == ["s6", "s7", "s8", "s9"]
    assert new() == []
    followed.restart()
    assert new() == [f"s{n}" for n in range(10)]


def test_the_parts_are_the_artifact_up_to_the_limit(report: RunReport) -> None:
    size = (report.run_dir / RESULTS).stat().st_size
    into_parts(report.run_dir, [3, 7], joined=(1,))
    names = [path.relative_to(report.run_dir).as_posix() for path in _artifacts(report, size)]
    assert names == [
        "run_metadata.json",
        "parts/000000000000-000001.jsonl",
        "run_results.jsonl",
        "parts/000000000007-000003.jsonl",
        "shards.json",
        "joined.json",
        "parts/000000000000.done.json",
        "parts/000000000007.done.json",
    ]
    assert [path.name for path in _artifacts(report, size - 1)] == ["run_metadata.json"]


def _artifacts(report: RunReport, limit: float) -> list[Path]:
    return artifacts_of(report.run_dir, limit)


def test_a_run_in_parts_is_sent(report: RunReport, database: str) -> None:
    into_parts(report.run_dir, [3, 7])
    assert main([str(report.run_dir), "--uri", database]) == 0
    (node,) = tree(database, "numbers").values()
    assert_equals_the_summary(node, report.run_dir)
    assert {"results_table.json", "shards.json"} <= node.artifacts
    assert any(name.startswith("parts") for name in node.artifacts)
