"""What the lines of a results file tell while it grows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from lm_eval_so import RunConfig, run
from lm_eval_so.runner.store.metadata import read_metadata
from lm_eval_so.tracking.live import Lines, LiveMetrics, live_metrics

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lm_eval_so import RunReport


@pytest.fixture
def report(make_dataset: Callable[..., Path]) -> RunReport:
    config = RunConfig(backend="simulated", model="m", backend_options={"latency_ms": 1})
    return run(make_dataset(10), config)


def test_they_add_up_to_the_summary(report: RunReport) -> None:
    metadata = read_metadata(report.run_dir)
    assert metadata is not None
    live = LiveMetrics(report.run_dir, metadata.started_at).read()
    assert live["live/done"] == 10
    assert metadata.summary is not None
    assert live.items() >= live_metrics(metadata.summary).items()


def test_answers_of_an_earlier_command_are_done_and_nothing_else(report: RunReport) -> None:
    metrics = LiveMetrics(report.run_dir, datetime.now(UTC))
    live = metrics.read()
    assert (live["live/done"], live["live/tokens"], live["live/failed"]) == (10, 0, 0)
    assert metrics.read()["live/done"] == 10


def test_each_line_comes_once_and_only_when_it_is_whole(report: RunReport) -> None:
    whole = report.results_path.read_bytes()
    first, rest = whole[: len(whole) // 2], whole[len(whole) // 2 :]
    report.results_path.write_bytes(first)
    lines = Lines(report.run_dir)
    found = [line["sample_id"] for line in lines.new()]
    assert 0 < len(found) < 10
    assert list(lines.new()) == []
    with report.results_path.open("ab") as file:
        file.write(rest + b'{"torn\n[1]\n{"no": "result"}\n')
    found += [line["sample_id"] for line in lines.new()]
    assert found == [f"s{n}" for n in range(10)]


def test_a_file_that_takes_its_place_is_read_when_that_is_asked_for(report: RunReport) -> None:
    lines = Lines(report.run_dir)
    assert len(list(lines.new())) == 10
    other = report.results_path.with_suffix(".other")
    other.write_bytes(report.results_path.read_bytes() * 2)
    other.replace(report.results_path)
    assert list(lines.new()) == []
    lines.restart()
    assert len(list(lines.new())) == 20
