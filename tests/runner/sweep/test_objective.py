"""Which numbers a search can go by."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.models import ChatResponse
from lm_eval_so.runner.run.report import RunReport
from lm_eval_so.runner.store.run_metadata import SelectionRecord
from lm_eval_so.runner.summary.summarise import Summary
from lm_eval_so.runner.sweep.objective import check_objective, objective_of
from support.results import result, summed


def line(sample_id: str, *tags: str, **response: object) -> dict[str, Any]:
    found = result(sample_id)
    changed = {
        "request_context": found.request_context.model_copy(update={"sample_tags": list(tags)}),
        "response": ChatResponse.model_validate({"text": "yes", **response}),
    }
    return json.loads(found.model_copy(update=changed).model_dump_json())


def failed(sample_id: str, *tags: str) -> dict[str, Any]:
    return {
        **line(sample_id, *tags),
        **json.loads(result(sample_id, fails=True).model_dump_json(include={"status", "error"})),
        "response": None,
    }


@pytest.fixture
def report() -> RunReport:
    lines = [
        line("a", "ko", "v1.5", finish_reason="length", model="gpt-4.1"),
        line("a", "ko", text="no", finish_reason="stop", time_to_first_answer_token_ms=250),
        failed("b", "ko"),
    ]
    return RunReport(
        state="complete",
        run_dir=Path("run"),
        results_path=Path("run/run_results.jsonl"),
        metadata_path=Path("run/run_metadata.json"),
        summary=summed(lines, 3),
        selection=SelectionRecord(selected=2, of=2),
        fault=None,
        exit_code=1,
    )


@pytest.mark.parametrize(
    ("path", "number"),
    [
        ("summary.truncated", 1),
        ("summary.finish_reasons.length", 1),
        ("summary.finish_reasons.content_filter", 0),
        ("summary.error_counts.InternalServerError", 1),
        ("summary.repeats.all_equal", 0),
        ("summary.repeats.mean_distinct", 2),
        ("summary.by_tag.ko.failed", 1),
        ("summary.by_tag.v1.5.n", 1),
        ("summary.by_tag.absent.n", None),
        ("summary.models.gpt-4.1.answers", 1),
        ("summary.time_to_first_answer_token_ms.p50", pytest.approx(250, rel=0.05)),
        ("summary.time_to_first_token_ms.p50", None),
        ("summary.tokens.cached", None),
        ("summary.cost_usd", None),
        ("summary.attempts", 9),
    ],
)
def test_a_number_of_the_summary_is_found(
    path: str, number: float | None, report: RunReport
) -> None:
    check_objective(path)
    assert objective_of(report, path) == number


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("summary.truncatd", "did you mean 'summary.truncated'"),
        ("truncated", "unknown number 'truncated'"),
        ("summary", "unknown number 'summary'"),
        ("summary.error_messages.X", "unknown number"),
        ("summary.missing", "unknown number"),
        ("summary.truncated.n", "summary.truncated is one number, without .n"),
        ("summary.finish_reasons", "summary.finish_reasons.NAME"),
        ("summary.repeats", "one of samples, all_equal, mean_distinct"),
        ("summary.time_to_first_answer_token_ms.p05", "needs one of p50"),
        ("summary.by_tag", r"needs a name and one of n, ok, .*summary\.by_tag\.TAG\.n"),
        ("summary.by_tag.ko", r"summary\.by_tag\.TAG\.n"),
        ("summary.by_tag.ko.fails", r"needs one of n, ok, .*summary\.by_tag\.ko\.n"),
        ("summary.models.m.first_at", r"needs one of answers: summary\.models\.m\.answers"),
        ("summary.tokens.prompt", "needs one of total, input, output, cached, reasoning"),
    ],
)
def test_what_is_no_number_is_refused_in_one_sentence(path: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence) as caught:
        check_objective(path)
    assert "\n" not in str(caught.value)


def test_a_run_without_repeats_has_no_agreement(report: RunReport) -> None:
    alone = report.model_copy(update={"summary": summed([line("a")], 1)})
    assert objective_of(alone, "summary.repeats.all_equal") is None


@pytest.mark.parametrize("field", Summary.model_fields)
def test_each_field_is_a_number_or_refused_before_anything_is_sent(
    field: str, report: RunReport
) -> None:
    path = f"summary.{field}"
    try:
        check_objective(path)
    except ConfigError:
        return
    found = objective_of(report, path)
    assert found is None or isinstance(found, float)
