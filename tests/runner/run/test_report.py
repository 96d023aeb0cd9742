"""A report of a finished run: read from its directory, and as a DataFrame."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lm_eval_so import LmEvalError, RunConfig, RunnerOptions, RunReport, run
from lm_eval_so.runner.errors import StoreError
from lm_eval_so.runner.models import ChatResponse, RunResult, TokenUsage
from lm_eval_so.runner.run.data_frame import data_frame
from support.results import result

if TYPE_CHECKING:
    from collections.abc import Callable

WRITTEN = Path(__file__).parents[2] / "fixtures" / "written_by_83ed9b7"


@pytest.fixture
def report(make_dataset: Callable[..., Path]) -> RunReport:
    """Of ten samples, of which some have failed."""
    options = {"latency_ms": 1, "garbage": 0.2, "refusal": 0.2, "seed": 3}
    config = RunConfig(backend="simulated", model="m", backend_options=options)
    return run(make_dataset(10), config, options=RunnerOptions(max_retries=0))


def answered(**fields: object) -> RunResult:
    response = ChatResponse.model_validate({"text": "yes", **fields})
    return result().model_copy(update={"response": response})


class TestLoad:
    @pytest.mark.parametrize("file", ["", "run_results.jsonl", "run_metadata.json"])
    def test_equals_the_report_of_the_run(self, report: RunReport, file: str) -> None:
        loaded = RunReport.load(report.run_dir / file)
        assert loaded == report
        assert list(loaded.results()) == list(report.results())

    def test_takes_a_path_as_text(self, report: RunReport) -> None:
        assert RunReport.load(str(report.run_dir)).summary == report.summary

    def test_says_why_a_run_is_not_complete(self, report: RunReport) -> None:
        metadata = json.loads(report.metadata_path.read_text())
        report.metadata_path.write_text(
            json.dumps({**metadata, "state": "aborted", "reason": "wrong key"})
        )
        loaded = RunReport.load(report.run_dir)
        assert (loaded.state, str(loaded.fault), loaded.exit_code) == ("aborted", "wrong key", 2)

    @pytest.mark.parametrize(
        ("name", "state", "code"), [("simulated_one-*", "complete", 0), ("*slow*", "partial", 2)]
    )
    def test_understands_an_earlier_release(self, name: str, state: str, code: int) -> None:
        (directory,) = WRITTEN.glob(f"outputs/colours/{name}")
        loaded = RunReport.load(directory)
        assert (loaded.state, loaded.exit_code, loaded.verdict) == (state, code, None)
        assert (loaded.selection.selected, loaded.selection.of) == (4, 4)

    def test_of_no_run_is_one_sentence(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match=f"there is no run_metadata.json in {tmp_path}"):
            RunReport.load(tmp_path)


class TestToPandas:
    def test_has_a_row_for_each_sample_that_was_asked(self, report: RunReport) -> None:
        frame = report.to_pandas()
        assert report.summary is not None
        assert list(frame.sample_id) == [f"s{n}" for n in range(10)]
        assert (frame.status == "error").sum() == report.summary.failed > 0
        assert frame.refused.sum() == report.summary.refused > 0
        failed = frame[frame.status == "error"]
        assert set(failed.error_type) == {"InvalidResponseError"}
        assert failed.text.isna().all()
        assert not failed["empty"].any()

    def test_has_the_same_columns_and_types_for_every_run(self, report: RunReport) -> None:
        frame, empty = report.to_pandas(), data_frame([])
        assert frame.dtypes.to_dict() == empty.dtypes.to_dict()
        assert len(empty) == 0

    def test_has_what_was_answered_and_what_is_to_be_said_of_it(self) -> None:
        tokens = TokenUsage(input=9, output=5, total=14, cached=4, reasoning=3)
        calls = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
        frame = data_frame(
            [
                answered(tokens=tokens, reasoning="hm", finish_reason="length"),
                answered(text=" ", model="m-2026"),
                answered(text="", tool_calls=calls, finish_reason="tool_calls"),
            ]
        )
        assert frame.truncated.tolist() == [True, False, False]
        assert frame["empty"].tolist() == [False, True, False]
        first = frame.iloc[0]
        assert (first.input_tokens, first.cached_tokens, first.reasoning_tokens) == (9, 4, 3)
        assert (first.text, first.reasoning, first.finish_reason) == ("yes", "hm", "length")
        assert frame.model[1] == "m-2026"
        assert frame.tool_calls[2] == calls

    def test_keeps_what_is_expected_as_it_is(self) -> None:
        wanted = ["Paris", 4, None, {"a": 1}, ["x"]]
        results = [
            result().model_copy(
                update={
                    "request_context": result().request_context.model_copy(
                        update={"expected": expected, "sample_tags": ["ko", "en"]}
                    )
                }
            )
            for expected in wanted
        ]
        frame = data_frame(results)
        assert frame.expected.tolist() == wanted
        assert frame.explode("tags").tags.value_counts().to_dict() == {"ko": 5, "en": 5}

    def test_understands_an_earlier_release(self) -> None:
        (directory,) = WRITTEN.glob("outputs/colours/simulated_one-*")
        frame = RunReport.load(directory).to_pandas()
        assert (len(frame), frame.truncated.sum()) == (4, 0)

    def test_without_pandas_says_what_to_type(
        self, report: RunReport, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "pandas", None)
        with pytest.raises(LmEvalError, match="pip install pandas"):
            report.to_pandas()

    def test_of_a_run_without_results_is_one_sentence(
        self, report: RunReport, tmp_path: Path
    ) -> None:
        shutil.copy(report.metadata_path, tmp_path)
        with pytest.raises(StoreError, match="cannot be read"):
            RunReport.load(tmp_path).to_pandas()
