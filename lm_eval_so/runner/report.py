"""How a run ended: for the caller, and for ``run_metadata.json``."""

import asyncio
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict

from lm_eval_so.runner.clock import steady
from lm_eval_so.runner.config.identity import fingerprint
from lm_eval_so.runner.config.schema import RunPlan
from lm_eval_so.runner.dataset.reader import Checked
from lm_eval_so.runner.dataset.source import DatasetSource
from lm_eval_so.runner.errors import BudgetSpentError
from lm_eval_so.runner.masking.options import public_options, shown
from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.models import SCHEMA_VERSION, RunResult, Value
from lm_eval_so.runner.signals import InterruptedRunError
from lm_eval_so.runner.store.metadata import environment
from lm_eval_so.runner.store.results import read_results
from lm_eval_so.runner.summary.summarise import Summary

State = Literal["running", "complete", "partial", "aborted"]

_FAILED_SAMPLES = 1
_NOT_CARRIED_OUT = 2
_INTERRUPTED = 130


class RunReport(Value):
    """How a run ended.

    Attributes:
        state: ``complete``: every sample has an outcome; ``partial``: stopped on request;
            ``aborted``: it could not go on.
        summary: None when the run was stopped at once.
        fault: Why the run is not complete.
        exit_code: 0 all ok, 1 some samples failed, 2 aborted or the
            budget is spent, 130 Ctrl-C, 143 SIGTERM, 129 SIGHUP.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    state: State
    run_dir: Path
    results_path: Path
    metadata_path: Path
    summary: Summary | None
    fault: BaseException | None
    exit_code: int

    def results(self) -> Iterator[RunResult]:
        """The results, read one at a time."""
        return read_results(self.results_path)


def verdict(
    summary: Summary | None, fault: BaseException | None, max_failures: int | None
) -> tuple[State, int]:
    """The state and the exit code."""
    match fault:
        case InterruptedRunError():
            return "partial", fault.exit_code
        case asyncio.CancelledError():
            return "partial", _INTERRUPTED
        case BudgetSpentError():
            return "partial", _NOT_CARRIED_OUT
        case None if summary is not None:
            failed = summary.total - summary.status_counts.get("ok", 0)
            tolerated = max_failures is None or failed <= max_failures
            return "complete", 0 if tolerated else _FAILED_SAMPLES
        case _:
            return "aborted", _NOT_CARRIED_OUT


class MetadataWriter:
    """Builds ``run_metadata.json``, without secrets; what does not change is put together once."""

    def __init__(
        self,
        plan: RunPlan,
        source: DatasetSource,
        dataset: Checked,
        identity: dict[str, Any],
        redactor: Redactor,
    ) -> None:
        self._started_at, self._began = datetime.now(UTC), steady()
        self._redactor = redactor
        config = plan.run_config
        self._head = {
            "dataset": {
                "id": source.id,
                "name": source.name,
                "version": source.version,
                "path": str(source.path),
                "location": source.location,
                "sha256": dataset.sha256,
                "sample_count": dataset.count,
                "metadata": source.metadata,
            },
            "run_config": {
                "backend": config.backend,
                "model": config.model,
                "parameters": shown(config.parameters),
                "backend_options": public_options(config.backend_options),
                "metadata": shown(config.metadata),
            },
            "variant": plan.variant,
            "repeats": plan.repeats,
            "options": plan.options.model_dump(mode="json"),
            "engine": plan.engine.kind,
            "fingerprint": fingerprint(identity),
            "identity": shown(identity),
            "environment": environment(),
        }

    def metadata(
        self,
        state: State,
        found_out: Mapping[str, Any],
        summary: Summary | None = None,
        fault: BaseException | None = None,
    ) -> dict[str, Any]:
        """The file's content in this state; ``found_out`` is what the strategies tell."""
        reason = None if fault is None else str(fault) or type(fault).__name__
        content = {
            "schema_version": SCHEMA_VERSION,
            "state": state,
            "reason": reason and self._redactor.text(reason),
            "started_at": self._started_at,
            "ended_at": None if state == "running" else self._now(),
            **self._head,
            **found_out,
            "summary": None if summary is None else summary.model_dump(),
        }
        public: dict[str, Any] = self._redactor.data(content)
        return public

    def _now(self) -> datetime:
        """Never before the start, whoever sets the wall clock meanwhile."""
        return self._started_at + timedelta(seconds=steady() - self._began)
