"""How a run ended: for the caller, and for ``run_metadata.json``."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import ConfigDict

from lm_eval_so.runner.errors import (
    BackendUnusableError,
    BudgetSpentError,
    LmEvalError,
    StoreError,
)
from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.models import RunResult, Value
from lm_eval_so.runner.run.data_frame import data_frame
from lm_eval_so.runner.run.exit_code import ExitCode
from lm_eval_so.runner.run.signals import InterruptedRunError
from lm_eval_so.runner.store.metadata import METADATA, read_metadata
from lm_eval_so.runner.store.read import read_results
from lm_eval_so.runner.store.results import RESULTS
from lm_eval_so.runner.store.run_metadata import RunMetadata, SelectionRecord, State
from lm_eval_so.runner.store.segments import results_path
from lm_eval_so.runner.summary.summarise import Summary
from lm_eval_so.runner.summary.verdict import Verdict

if TYPE_CHECKING:
    from pandas import DataFrame


class RunReport(Value):
    """How a run ended.

    Attributes:
        state: ``complete``: every sample has an outcome; ``partial``: stopped on request;
            ``aborted``: it could not go on; loaded from a directory also ``running``, which a run
            that was killed stays.
        summary: None when the run was stopped at once.
        verdict: Whether the results may be counted on; None without a summary.
        selection: Which samples of the dataset were asked.
        fault: Why the run is not complete.
        exit_code: 0 all ok, 1 some samples failed or a gate is exceeded, 2 aborted or the
            budget is spent, 130 Ctrl-C, 143 SIGTERM, 129 SIGHUP; loaded from a directory, 2 for
            every run that is not complete.
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

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """The report of a run that any command or program has left in a directory.

        Args:
            path: The run directory, or a file in it; its ``run_results.jsonl`` also where the run
                is in parts.

        Raises:
            NewerVersionError: A newer release wrote it.
            StoreError: There is no run, or its ``run_metadata.json`` is damaged.
        """
        given = Path(path)
        directory = given.parent if given.is_file() or given.name == RESULTS else given
        metadata = read_metadata(directory)
        if metadata is None:
            raise StoreError(f"no run directory: there is no {METADATA} in {directory}")
        return cls(
            state=metadata.state,
            run_dir=directory,
            results_path=results_path(directory),
            metadata_path=directory / METADATA,
            summary=metadata.summary,
            verdict=metadata.verdict,
            selection=metadata.selection or _everything(metadata),
            fault=None if metadata.reason is None else LmEvalError(metadata.reason),
            exit_code=_exit_code(metadata),
        )

    def results(self) -> Iterator[RunResult]:
        """The results, read one at a time."""
        return read_results(self.run_dir)

    def to_pandas(self) -> "DataFrame":
        """The results as a DataFrame: one row per sample and repeat, failed ones included.

        Samples without an outcome have no row: a share of the dataset is one of ``summary.total``.

        Raises:
            LmEvalError: pandas is not installed, or the results cannot be read.
        """
        return data_frame(self.results())


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


def _everything(metadata: RunMetadata) -> SelectionRecord:
    """What an earlier release asked."""
    samples = metadata.dataset.sample_count
    return SelectionRecord(selected=samples, of=samples)


def _exit_code(metadata: RunMetadata) -> int:
    if metadata.state != "complete" or metadata.summary is None:
        return ExitCode.NOT_CARRIED_OUT
    if metadata.verdict is None:  # an earlier release wrote it
        return ExitCode.SAMPLES_FAILED if metadata.summary.failed else ExitCode.OK
    return ending(metadata.summary, None, metadata.verdict)[1]


def public_fault(fault: BaseException, redactor: Redactor) -> BaseException:
    """The fault as a caller may show it: what a server said may hold a secret."""
    if not isinstance(fault, BackendUnusableError):
        return fault
    public = BackendUnusableError(redactor.text(str(fault)))
    public.__cause__ = fault.__cause__
    return public
