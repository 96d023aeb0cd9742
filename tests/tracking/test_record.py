"""What MLflow is told of a run directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlflow.utils.validation import _validate_metric_name

from lm_eval_so.runner.models import ChatResponse, RunResult
from lm_eval_so.runner.summary.by_tag import TagSummary
from lm_eval_so.tracking.record import (
    config_yaml,
    ended_tags_of,
    metrics_of,
    params_of,
    results_table,
    tags_of,
)
from support.metadata import metadata
from support.results import NOW, result, summed


def line(found: RunResult, tags: tuple[str, ...] = (), **response: object) -> dict[str, Any]:
    """With an answer of these fields, unless it failed."""
    changed: dict[str, Any] = {
        "request_context": found.request_context.model_copy(update={"sample_tags": list(tags)})
    }
    if found.response is not None:
        changed["response"] = ChatResponse.model_validate({"text": "yes", **response})
    return json.loads(found.model_copy(update=changed).model_dump_json())


def metrics(
    lines: list[dict[str, Any]], before: dict[str, float] | None = None
) -> dict[str, float]:
    return metrics_of(metadata(state="complete", summary=summed(lines, len(lines))), before)


class TestMetrics:
    def test_have_the_nested_numbers_of_the_summary(self) -> None:
        found = metrics(
            [
                line(result("a"), ("ko",), finish_reason="length", model="org/m:v1"),
                line(result("b", fails=True), ("ko", "en")),
            ]
        )
        assert found["finish_reasons.length"] == 1
        assert found["truncated"] == 1
        assert (found["by_tag.ko.n"], found["by_tag.ko.failed"]) == (2, 1)
        assert found["by_tag.en.ok"] == 0
        assert found["models.org/m:v1.answers"] == 1

    def test_are_numbers_alone(self) -> None:
        lines = [line(result("a"), ("ko",), model="m", system_fingerprint="fp"), line(result("a"))]
        found = metrics(lines)
        assert found["repeats.all_equal"] == 1
        assert {type(value) for value in found.values()} <= {int, float}
        assert not [name for name in found if "first_at" in name or "fingerprint" in name]

    def test_have_names_that_mlflow_takes(self) -> None:
        tags = ("한국어", "a&b", "a|b", "x" * 400, "../up", "with space")
        found = metrics([line(result(), tags)])
        for name in found:
            _validate_metric_name(name)
        of_tags = [name for name in found if name.startswith("by_tag.")]
        assert len(of_tags) == len(TagSummary.model_fields) * len(tags)

    def test_of_many_tags_are_those_of_the_most_samples(self) -> None:
        lines = [line(result(f"s{n}"), (f"t{n:03}",)) for n in range(150)]
        lines += [line(result(f"more{n}"), ("t140", "t007")) for n in range(2)]
        found = metrics(lines)
        tags = {name.split(".")[1] for name in found if name.startswith("by_tag.")}
        assert len(tags) == 30
        assert {"t140", "t007", "t000"} <= tags

    def test_of_a_tag_that_has_them_already_stay_right(self) -> None:
        lines = [line(result(f"s{n}"), (f"t{n:03}",)) for n in range(150)]
        found = metrics(lines, {"by_tag.t149.n": 7.0})
        assert found["by_tag.t149.n"] == 1
        assert "by_tag.t149.failed" not in found

    def test_that_the_summary_has_no_more_become_0(self) -> None:
        before = {
            "error_counts.X": 2.0,
            "finish_reasons.length": 1.0,
            "by_tag.ko.failed": 3.0,
            "models.m.answers": 4.0,
            "by_tag.ko.latency_p50_ms": 9.0,
            "live/done": 5.0,
        }
        found = metrics([line(result())], before)
        assert {name: found[name] for name in before if name in found} == {
            "error_counts.X": 0,
            "finish_reasons.length": 0,
            "by_tag.ko.failed": 0,
            "models.m.answers": 0,
        }

    def test_of_an_odd_tag_are_set_again_and_not_reset(self) -> None:
        lines = [line(result(), ("a&b",))]
        first = metrics(lines)
        assert metrics(lines, first) == first


def test_the_verdict_and_its_reasons_are_tags() -> None:
    verdict = {"outcome": "invalid", "reasons": ["2 failed", "3 cut off"], "warnings": ["w"]}
    tags = ended_tags_of(metadata(state="complete", ended_at=NOW, verdict=verdict))
    assert tags == {
        "lm_eval_so.state": "complete",
        "lm_eval_so.reason": "",
        "lm_eval_so.verdict": "invalid",
        "lm_eval_so.verdict.reasons": "2 failed; 3 cut off",
        "lm_eval_so.verdict.warnings": "w",
    }


def test_a_run_of_an_earlier_release_has_no_verdict() -> None:
    assert "lm_eval_so.verdict" not in ended_tags_of(metadata(state="complete"))


class TestTable:
    @staticmethod
    def table(path: Path, *lines: dict[str, Any]) -> dict[str, list[Any]]:
        """By column."""
        path.write_text("".join(json.dumps(each) + "\n" for each in lines))
        table = json.loads(results_table(path.parent))
        return dict(zip(table["columns"], zip(*table["data"], strict=True), strict=True))

    def test_has_reasons_and_what_some_answer_has(self, tmp_path: Path) -> None:
        calls = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
        found = self.table(
            tmp_path / "run_results.jsonl",
            line(result("a"), finish_reason="stop", reasoning="hm"),
            line(result("b"), finish_reason="tool_calls", tool_calls=calls),
            line(result("c", fails=True)),
        )
        assert found["finish_reason"] == ("stop", "tool_calls", None)
        assert found["reasoning"] == ("hm", None, None)
        assert found["tool_calls"] == (None, calls, None)
        assert "refusal" not in found

    def test_has_no_empty_columns_of_what_few_models_give(self, tmp_path: Path) -> None:
        found = self.table(tmp_path / "run_results.jsonl", line(result("a"), finish_reason="stop"))
        assert found.keys().isdisjoint({"reasoning", "tool_calls", "refusal"})


def test_a_table_of_no_results_is_empty(tmp_path: Path) -> None:
    (tmp_path / "run_results.jsonl").touch()
    table = json.loads(results_table(tmp_path))
    assert table == {"columns": [], "data": []}


@pytest.mark.parametrize("missing", ["reasoning", "finish_reason"])
def test_lines_of_schema_version_1_are_rows(tmp_path: Path, missing: str) -> None:
    old = line(result("a"), finish_reason="stop")
    old["response"].pop(missing, None)
    (tmp_path / "run_results.jsonl").write_text(json.dumps(old) + "\n")
    table = json.loads(results_table(tmp_path))
    assert len(table["data"]) == 1


def test_a_selection_is_a_tag_which_can_change_and_no_param_which_cannot() -> None:
    pilot = metadata(selection={"asked": {"limit": 1}, "selected": 1, "of": 2})
    whole = metadata(selection={"asked": {}, "selected": 2, "of": 2})
    assert params_of(pilot) == params_of(whole)
    assert not [key for key in params_of(pilot) if key.startswith("select")]
    told = [tags_of(each, Path())["lm_eval_so.selected"] for each in (pilot, whole)]
    assert told == ["1 of 2", "2 of 2"]
    assert yaml.safe_load(config_yaml(pilot))["select"] == {"limit": 1}


def test_a_run_of_an_earlier_release_has_no_selection() -> None:
    assert "lm_eval_so.selected" not in tags_of(metadata(), Path())
