"""How a run ended: for the caller, and for ``run_metadata.json``."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

from pydantic import ConfigDict

from lm_eval_so.runner.errors import BackendUnusableError, BudgetSpentError
from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.models import RunResult, Value
from lm_eval_so.runner.run.exit_code import ExitCode
from lm_eval_so.runner.run.signals import InterruptedRunError
from lm_eval_so.runner.store.results import read_results
from lm_eval_so.runner.store.run_metadata import SelectionRecord, State
from lm_eval_so.runner.summary.summarise import Summary
from lm_eval_so.runner.summary.verdict import Verdict


class RunReport(Value):
    """How a run ended.

    Attributes:
        state: ``complete``: every sample has an outcome; ``partial``: stopped on request;
            ``aborted``: it could not go on.
        summary: None when the run was stopped at once.
        verdict: Whether the results may be counted on; None without a summary.
        selection: Which samples of the dataset were asked.
        fault: Why the run is not complete.
        exit_code: 0 all ok, 1 some samples failed or a gate is exceeded, 2 aborted or the
            budget is spent, 130 Ctrl-C, 143 SIGTERM, 129 SIGHUP.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    state: State
    run_dir: Path
    results_path: Path
    metadata_path: Path
    summary: Summary | None
    verdict: Verdict | None = None
    selection: SelectionRecord
    fault: BaseException | None
    exit_code: int

    def results(self) -> Iterator[RunResult]:
        """The results, read one at a time."""
        return read_results(self.results_path)


def ending(
    summary: Summary | None, fault: BaseException | None, verdict: Verdict | None
) -> tuple[State, int]:
    """The state and the exit code."""
    match fault:
        case InterruptedRunError():
            return "partial", fault.exit_code
        case asyncio.CancelledError():
            return "partial", ExitCode.INTERRUPTED
        case BudgetSpentError():
            return "partial", ExitCode.NOT_CARRIED_OUT
        case None if summary is not None and verdict is not None:
            invalid = verdict.outcome == "invalid"
            return "complete", ExitCode.SAMPLES_FAILED if invalid else ExitCode.OK
        case _:
            return "aborted", ExitCode.NOT_CARRIED_OUT


def public_fault(fault: BaseException, redactor: Redactor) -> BaseException:
    """The fault as a caller may show it: what a server said may hold a secret."""
    if not isinstance(fault, BackendUnusableError):
        return fault
    public = BackendUnusableError(redactor.text(str(fault)))
    public.__cause__ = fault.__cause__
    return public
