"""The test cases of a run: what makes it count, and the samples that failed."""

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from lm_eval_so.runner.config.schema import GateOptions, RunnerOptions
from lm_eval_so.runner.models import RunResult
from lm_eval_so.runner.store.run_metadata import RunMetadata
from lm_eval_so.runner.summary.verdict import Finding, findings
from lm_eval_so.runner.text.one_line import one_line

_JUDGING: Final = ("gate", "max_failures")
_ABOUT_FAILED: Final = {"runner.gate.failed", "runner.max_failures"}
_SHORT, _LONG = 300, 10_000  # characters


class Case(NamedTuple):
    """A test case.

    Attributes:
        message: Why it has not passed, on one line.
        kind: Of the failure, such as the type of an error.
        text: The whole of it; the message if empty.
    """

    name: str
    outcome: Literal["passed", "failure", "error", "skipped"] = "passed"
    message: str = ""
    kind: str = ""
    text: str = ""
    seconds: float = 0.0


def conditions(run: RunMetadata, count: int) -> Iterator[Case]:
    """What makes a run count: each condition of its verdict, as it was told when it ended.

    Args:
        run: Of any release.
        count: Results that there are.
    """
    yield _carried_out(run)
    name, asked = "every sample has an outcome", run.asked
    if count < asked:
        words = f"{asked - count:,} of {asked:,} samples have no outcome"
        yield Case(name, "failure", words, "owed")
    else:
        yield Case(name)
    if run.selection and run.selection.selected < run.selection.of:
        selected, of = run.selection.selected, run.selection.of
        words = f"{selected:,} of {of:,} samples of the dataset were selected"
        yield Case("the whole dataset was asked", "skipped", words)
    yield from map(_of_gate, _gates(run))


def failed_gate(run: RunMetadata) -> bool:
    """Whether more samples failed than the run allows."""
    return any(found.exceeds for found in _gates(run) if found.gate in _ABOUT_FAILED)


def of_failure(result: RunResult, *, fails: bool) -> Case:
    """A sample that failed."""
    error = result.error
    if error is None:
        raise ValueError(f"{result.sample_id} has not failed")
    repeat = f" [repeat {result.repeat}]" if result.repeat else ""
    status = "" if error.status_code is None else f"HTTP status {error.status_code}\n"
    return Case(
        name=f"sample {result.sample_id}{repeat}",
        outcome="failure" if fails else "skipped",
        message=one_line(f"{error.error_type}: {error.message}", _SHORT),
        kind=error.error_type,
        text=f"{error.error_type}: {error.message[:_LONG]}\n{status}"
        f"attempts {result.attempts}\nrequest_key {result.request_key}",
        seconds=(result.latency_ms or 0) / 1000,
    )


def _carried_out(run: RunMetadata) -> Case:
    name = "the run was carried out"
    if run.state == "complete":
        return Case(name)
    default = "it has not ended" if run.state == "running" else run.state
    return Case(name, "error", one_line(run.reason or default, _SHORT), run.state)


def _of_gate(found: Finding) -> Case:
    name = f"{found.gate}={found.bound:g}"
    if found.exceeds:
        return Case(name, "failure", f"{found.words}, more than {name}", found.gate)
    return Case(name)


def _gates(run: RunMetadata) -> Iterator[Finding]:
    """Those that have a bound; none of a run that has not been summed up."""
    if run.summary is None:
        return
    judging = {name: run.options[name] for name in _JUDGING if name in run.options}
    known = {k: v for k, v in judging.get("gate", {}).items() if k in GateOptions.model_fields}
    options = RunnerOptions.model_validate({**judging, "gate": known})
    whole = run.dataset.sample_count * run.repeats
    yield from (found for found in findings(run.summary, options, whole) if found.bound is not None)
