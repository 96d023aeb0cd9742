from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from rich.console import Console

from lm_eval_so.runner.progress.final_table import one_line, print_report
from lm_eval_so.runner.run.report import RunReport
from lm_eval_so.runner.store.run_metadata import SelectionRecord
from support.results import summed


def failed(error_type: str, message: str) -> dict[str, Any]:
    error = {"error_type": error_type, "message": message, "status_code": None}
    return {
        "sample_id": "s",
        "request_context": {"sample_tags": []},
        "request_messages": [],
        "status": "error",
        "attempts": 1,
        "latency_ms": 1.0,
        "response": None,
        "error": error,
    }


def report_of(*lines: dict[str, Any], of: int | None = None) -> RunReport:
    return RunReport(
        state="complete",
        run_dir=Path("run"),
        results_path=Path("run/run_results.jsonl"),
        metadata_path=Path("run/run_metadata.json"),
        summary=summed(lines, len(lines)),
        selection=SelectionRecord(selected=len(lines), of=of or len(lines)),
        fault=None,
        exit_code=1,
    )


def printed(report: RunReport, width: int = 60) -> list[str]:
    screen = io.StringIO()
    print_report(report, Console(file=screen, width=width))
    return screen.getvalue().splitlines()


def test_each_type_of_error_has_a_row_with_its_commonest_message() -> None:
    lines = printed(
        report_of(
            failed("NotFoundError", "no such model"),
            failed("APITimeoutError", "no answer within 60 s"),
            failed("APITimeoutError", "no answer within 60 s"),
        )
    )
    assert [line.rstrip() for line in lines if "Error" in line] == [
        "errors    2 APITimeoutError: no answer within 60 s",
        "          1 NotFoundError: no such model",
    ]


def test_a_message_takes_no_more_than_the_line() -> None:
    report = report_of(failed("NotFoundError", "many words\n" * 50))
    for width in (30, 60, 100):
        (row,) = [line for line in printed(report, width) if "NotFoundError" in line]
        assert len(row) <= width
        assert row.rstrip().endswith("…")


def test_brackets_in_a_message_are_no_markup() -> None:
    (row,) = [
        line
        for line in printed(report_of(failed("NotFoundError", "[red]no[/red] [/b] model[0]")))
        if "NotFoundError" in line
    ]
    assert "[red]no[/red] [/b] model[0]" in row


def test_an_error_without_words_has_its_type_alone() -> None:
    assert any(
        line.rstrip().endswith("1 NotFoundError")
        for line in printed(report_of(failed("NotFoundError", "")))
    )


def test_one_line_says_what_it_came_to() -> None:
    report = report_of(failed("NotFoundError", "no"))
    assert one_line(report) == "1 error, 0 in 0.0 s; run"


def test_a_part_of_the_dataset_is_said_to_be_one() -> None:
    part = report_of(failed("E", "m"), of=1_000)
    assert "selected  1 of 1,000 samples" in [line.rstrip() for line in printed(part)]
    assert one_line(part).startswith("1 error, 1 of 1,000 samples, ")
    assert "selected" not in " ".join(printed(report_of(failed("E", "m"))))
