"""The verdict says in words whether a run counts."""

from __future__ import annotations

from typing import Any

import pytest

from lm_eval_so.runner.config.schema import GateOptions, RunnerOptions
from lm_eval_so.runner.summary.served import Served
from lm_eval_so.runner.summary.summarise import Summary
from lm_eval_so.runner.summary.verdict import Verdict, judge

EVERY = 1000


def summary(ok: int = EVERY, failed: int = 0, owed: int = 0, **more: Any) -> Summary:  # noqa: ANN401 - fields
    counts = {"ok": ok, "error": failed, "owed": owed}
    return Summary(
        total=ok + failed + owed,
        status_counts={name: count for name, count in counts.items() if count},
        error_counts={},
        latency_ms=None,
        time_to_first_token_ms=None,
        tokens={},
        attempts=0,
        retries=0,
        rate_limited=0,
        **more,
    )


def verdict(found: Summary, whole: int | None = None, **gate: Any) -> Verdict:  # noqa: ANN401 - options
    most = gate.pop("max_failures", 0)
    options = RunnerOptions(gate=GateOptions(**gate), max_failures=most)
    return judge(found, options, whole or found.total)


def test_a_run_without_a_fault_is_complete_and_says_nothing() -> None:
    assert verdict(summary()) == Verdict(outcome="complete")
    assert str(verdict(summary())) == "complete"


@pytest.mark.parametrize(
    ("found", "gate", "reason"),
    [
        (
            summary(ok=997, failed=3),
            {},
            "3 of 1,000 samples (0.3%) failed, more than runner.max_failures=0",
        ),
        (
            summary(ok=980, failed=20),
            {"failed": 0.01},
            "20 of 1,000 samples (2%) failed, more than runner.gate.failed=0.01",
        ),
        (
            summary(truncated=52),
            {"truncated": 0.05},
            (
                "52 of 1,000 samples (5.2%) were cut off by a limit on their tokens, "
                "more than runner.gate.truncated=0.05"
            ),
        ),
        (
            summary(refused=1),
            {"refused": 0},
            "1 of 1,000 samples (0.1%) were refused an answer, more than runner.gate.refused=0",
        ),
        (
            summary(empty=1000),
            {"empty": 0.5},
            "1,000 of 1,000 samples (100%) have an empty answer, more than runner.gate.empty=0.5",
        ),
    ],
    ids=["failures", "failed", "truncated", "refused", "empty"],
)
def test_a_gate_that_is_exceeded_makes_a_run_invalid(
    found: Summary, gate: dict[str, Any], reason: str
) -> None:
    assert verdict(found, **gate) == Verdict(outcome="invalid", reasons=(reason,))


@pytest.mark.parametrize(
    ("found", "gate"),
    [
        (summary(ok=997, failed=3), {"max_failures": 3}),
        (summary(ok=997, failed=3), {"max_failures": None}),
        (summary(ok=990, failed=10), {"failed": 0.01}),
        (summary(truncated=10), {"truncated": 0.01}),
        (summary(truncated=10), {}),
    ],
    ids=["most", "any", "share-takes-the-place-of-most", "at-the-bound", "no-gate"],
)
def test_up_to_its_bound_a_run_is_complete(found: Summary, gate: dict[str, Any]) -> None:
    assert verdict(found, **gate) == Verdict(outcome="complete")


def test_shares_are_of_the_samples_that_have_an_outcome() -> None:
    found = verdict(summary(ok=10, owed=990, truncated=6), truncated=0.5)
    assert found == Verdict(
        outcome="partial",
        reasons=(
            "990 of 1,000 samples have no outcome",
            (
                "6 of 10 samples (60%) were cut off by a limit on their tokens, "
                "more than runner.gate.truncated=0.5"
            ),
        ),
    )


def test_above_one_percent_there_is_a_warning_without_any_gate() -> None:
    found = verdict(summary(truncated=11, empty=10, refused=300))
    assert found.outcome == "complete"
    assert found.warnings == (
        "11 of 1,000 samples (1.1%) were cut off by a limit on their tokens",
        "300 of 1,000 samples (30%) were refused an answer",
    )


def _served(*models: str) -> dict[str, Served]:
    return {
        name: Served(answers=5, first_at=f"2026-11-01T00:00:0{n}Z", sample_id=f"s{n}")
        for n, name in enumerate(models)
    }


def test_another_model_in_the_middle_of_a_run_is_told() -> None:
    found = verdict(summary(models=_served("gpt-1", "gpt-2")))
    words = "the model changed during the run: gpt-1, then gpt-2 (first at sample s1, "
    assert found.outcome == "complete"
    assert found.warnings == (f"{words}2026-11-01T00:00:01Z)",)
    gated = verdict(summary(models=_served("gpt-1", "gpt-2", "gpt-3")), model_changes=0)
    assert gated.outcome == "invalid"
    assert gated.reasons[0].startswith(words.replace("gpt-2", "gpt-2 and 1 more"))
    assert gated.reasons[0].endswith("more than runner.gate.model_changes=0")


def test_a_selection_is_a_part_and_no_fault_unless_a_gate_bounds_it() -> None:
    found = summary(ok=50)
    assert verdict(found, 50).outcome == "complete"
    pilot = verdict(found, 1000)
    assert pilot == Verdict(
        outcome="partial", reasons=("50 of 1,000 samples of the dataset were selected",)
    )
    assert verdict(found, 1000, unselected=0.5) == Verdict(
        outcome="invalid",
        reasons=(
            (
                "950 of 1,000 samples (95%) of the dataset were not selected, "
                "more than runner.gate.unselected=0.5"
            ),
        ),
    )


def test_a_run_that_nothing_came_of_is_partial() -> None:
    found = verdict(summary(ok=0, owed=3), failed=0, truncated=0, empty=0)
    assert found == Verdict(outcome="partial", reasons=("3 of 3 samples have no outcome",))


def test_a_share_below_what_one_digit_shows_is_no_zero() -> None:
    reasons = verdict(summary(ok=9_999, failed=1)).reasons
    assert reasons == ("1 of 10,000 samples (below 0.1%) failed, more than runner.max_failures=0",)


def test_a_model_s_name_moves_no_cursor() -> None:
    (warning,) = verdict(summary(models=_served("m\x1b[31m1", "m\n2"))).warnings
    assert warning.isprintable()
    assert "m [31m1, then m 2" in warning
