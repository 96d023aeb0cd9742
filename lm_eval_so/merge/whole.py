"""``run_metadata.json`` of the whole, of those of its parts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from lm_eval_so.merge.dataset import Dataset
from lm_eval_so.runner.config.schema import RunnerOptions
from lm_eval_so.runner.store.run_metadata import RunMetadata, SelectionRecord
from lm_eval_so.runner.summary.summarise import Summary, Totals
from lm_eval_so.runner.summary.verdict import judge

_SHARED = (
    *("prompt", "run_config", "variant", "repeats", "options", "store", "engine"),
    *("fingerprint", "identity", "environment"),
)
"""What the whole has of its latest part; of all of them that which decides the answers is equal."""
_JUDGING = ("gate", "max_failures")


@dataclass
class Counts:
    """What was counted while the results were put in order.

    Attributes:
        selected: Samples.
        total: Results that the whole should have, and those it has of other samples.
    """

    totals: Totals = field(default_factory=Totals)
    selected: int = 0
    total: int = 0

    def summary(self, wall_time: float) -> Summary:
        """That of a command which has found all of it answered."""
        summary = self.totals.summary(self.total)
        update = {
            "resumed": summary.status_counts.get("ok", 0),
            "wall_time_s": round(wall_time, 3),
        }
        return summary.model_copy(update=update)

    @property
    def owed(self) -> int:
        """Results that are missing."""
        return self.totals.summary(self.total).status_counts.get("owed", 0)


def metadata_of(
    runs: Sequence[RunMetadata],
    dataset: Dataset,
    asked: dict[str, Any],
    counts: Counts,
    wall_time: float,
) -> RunMetadata:
    """The metadata of the whole, but for its command.

    Args:
        runs: The parts.
        dataset: As it was read for the merge.
        asked: What they asked for together.
        counts: Of the results.
        wall_time: Seconds that the merge took.
    """
    latest = max(runs, key=lambda run: run.started_at)
    summary, of = counts.summary(wall_time), dataset.checked.count
    options = _judging(latest.options)
    owed = counts.owed
    reason = f"{owed:,} of {counts.total:,} results are in none of the merged directories"
    return RunMetadata(
        state="partial" if owed else "complete",
        reason=reason if owed else None,
        started_at=min(run.started_at for run in runs),
        ended_at=max(run.ended_at or run.started_at for run in runs),
        dataset=dataset.record,
        selection=SelectionRecord(asked=asked, selected=counts.selected, of=of),
        verdict=judge(summary, options, of * latest.repeats),
        summary=summary,
        **{name: getattr(latest, name) for name in _SHARED},
    )


def _judging(options: Mapping[str, Any]) -> RunnerOptions:
    """The options that a verdict looks at; the defaults, where another release wrote others."""
    try:
        return RunnerOptions.model_validate(
            {name: options[name] for name in _JUDGING if name in options}
        )
    except ValidationError:
        return RunnerOptions()
