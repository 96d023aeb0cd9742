"""What is written into ``run_metadata.json``."""

import logging
import platform
import socket
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pydantic import ValidationError

from lm_eval_so._version import __version__
from lm_eval_so.runner.config.identity import fingerprint
from lm_eval_so.runner.config.schema import DatasetConfig, SelectConfig
from lm_eval_so.runner.dataset.reader import Checked
from lm_eval_so.runner.dataset.selection import Selection
from lm_eval_so.runner.dataset.source import DatasetSource
from lm_eval_so.runner.host.clock import steady
from lm_eval_so.runner.masking.options import public_options, shown
from lm_eval_so.runner.masking.values import without_handed_on
from lm_eval_so.runner.models import RunConfig
from lm_eval_so.runner.run.prepare import Prepared
from lm_eval_so.runner.store.run_metadata import (
    ConfigRecord,
    DatasetRecord,
    Environment,
    RunMetadata,
    SelectionRecord,
    State,
)
from lm_eval_so.runner.summary.summarise import Summary
from lm_eval_so.runner.summary.verdict import Verdict
from lm_eval_so.runner.text.sanitise import sanitise_json

_LOG = logging.getLogger(__name__)
_FOUND_OUT = {"concurrency", "concurrency_history", "limits_per_minute", "starts_per_s"}
_NOT_FOUND_OUT = RunMetadata.model_fields.keys() - _FOUND_OUT
"""Fields that no engine may set."""
_MOST_IDS = 100  # that are kept one by one
_PACKAGES = ("anthropic", "hydra-core", "omegaconf", "openai", "pydantic", "tenacity", "xllamacpp")


class MetadataWriter:
    """Builds the RunMetadata of a run, without secrets; what does not change is built once.

    Attributes:
        selection: Which samples are asked.
    """

    def __init__(self, prepared: Prepared) -> None:
        plan, placed = prepared.plan, prepared.placed
        self._redactor = placed.redactor
        self._began = steady()
        self.selection = _selection(plan.select, prepared.selection)
        self._begun = RunMetadata(
            state="running",
            started_at=datetime.now(UTC),
            dataset=_dataset(prepared.source, prepared.dataset, plan.dataset),
            selection=self.selection,
            prompt=placed.prompt and placed.prompt.record,
            run_config=_config(plan.run_config),
            variant=plan.variant,
            repeats=plan.repeats,
            options=plan.options.model_dump(mode="json"),
            store=plan.store.model_dump(mode="json"),
            engine=plan.engine.kind,
            command=plan.command,
            fingerprint=fingerprint(placed.identity),
            identity=shown(placed.identity),
            environment=environment(),
        )

    def metadata(
        self,
        state: State,
        found_out: Mapping[str, Any],
        summary: Summary | None = None,
        verdict: Verdict | None = None,
        fault: BaseException | None = None,
    ) -> RunMetadata:
        """The file's content in this state.

        Args:
            state: Of the run.
            found_out: What the engine found out, some of which only that engine knows.
            summary: Of the results.
            verdict: On them.
            fault: Why the run is not complete.
        """
        found = {key: value for key, value in found_out.items() if key not in _NOT_FOUND_OUT}
        reason = None if fault is None else str(fault) or type(fault).__name__
        content = {
            **self._begun.model_dump(),
            "state": state,
            "reason": reason and self._redactor.text(reason),
            "ended_at": None if state == "running" else self._now(),
            **sanitise_json(found),
            "verdict": None if verdict is None else verdict.model_dump(),
            "summary": None if summary is None else summary.model_dump(),
        }
        public = self._redactor.data(content)
        try:
            return RunMetadata.model_validate(public)
        except ValidationError as error:  # an engine of somebody else's
            _LOG.warning("what the engine found out is left out: %s", error)
            return RunMetadata.model_validate({k: v for k, v in public.items() if k not in found})

    def _now(self) -> datetime:
        """Never before the start, whoever sets the wall clock meanwhile."""
        return self._begun.started_at + timedelta(seconds=steady() - self._began)


def environment() -> Environment:
    """Versions and the machine."""
    return Environment(
        lm_eval_so=__version__,
        python=platform.python_version(),
        platform=platform.platform(),
        host=socket.gethostname(),
        git_commit=_git_commit(),
        packages={name: found for name in _PACKAGES if (found := _version(name))},
    )


def _dataset(source: DatasetSource, dataset: Checked, config: DatasetConfig) -> DatasetRecord:
    return DatasetRecord(
        id=source.id,
        name=source.name,
        version=source.version,
        path=str(source.path),
        location=source.location,
        sha256=dataset.sha256,
        sample_count=dataset.count,
        metadata=source.metadata,
        config=config.model_dump(mode="json", exclude_defaults=True),
    )


def _selection(asked: SelectConfig, selection: Selection) -> SelectionRecord:
    given = asked.given
    ids = given.get("ids")
    if isinstance(ids, list) and len(ids) > _MOST_IDS:
        given["ids"] = f"{len(ids):,} ids"
    return SelectionRecord(asked=given, selected=selection.selected, of=selection.of)


def _config(config: RunConfig) -> ConfigRecord:
    return ConfigRecord(
        backend=config.backend,
        model=config.model,
        parameters=shown(config.parameters),
        backend_options=public_options(config.backend_options),
        metadata=shown(config.metadata),
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    command = ["git", "rev-parse", "HEAD"]
    try:
        found = subprocess.run(  # noqa: S603 - a constant
            command, capture_output=True, text=True, check=False, env=without_handed_on()
        )
    except OSError:
        return None
    return found.stdout.strip() or None
