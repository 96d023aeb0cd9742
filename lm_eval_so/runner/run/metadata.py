"""What is written into ``run_metadata.json``."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from lm_eval_so.runner.config.identity import fingerprint
from lm_eval_so.runner.config.schema import RunPlan
from lm_eval_so.runner.dataset.reader import Checked
from lm_eval_so.runner.dataset.source import DatasetSource
from lm_eval_so.runner.host.clock import steady
from lm_eval_so.runner.masking.options import public_options, shown
from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.models import SCHEMA_VERSION
from lm_eval_so.runner.run.report import State
from lm_eval_so.runner.store.metadata import environment
from lm_eval_so.runner.summary.summarise import Summary


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
