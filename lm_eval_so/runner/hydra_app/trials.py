"""The trials of a search: each is a cell, known by its overrides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.hydra_app.typed_secrets import mask_secrets
from lm_eval_so.runner.run.exit_code import ExitCode
from lm_eval_so.runner.sweep.cell import CellOutcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from lm_eval_so.runner.config.schema import RunPlan
    from lm_eval_so.runner.sweep.record import SweepRecord

    Values = dict[str, str]
    """What a trial sets: by key, as text for an override."""


class Trials:
    """All trials of a search, those of earlier commands included.

    Args:
        record: Of the search; takes each trial as a cell.
        fixed: Overrides that all trials have.
        plan: Composes the cell with this number and these overrides.

    Attributes:
        outcomes: By number.
    """

    def __init__(
        self,
        record: SweepRecord,
        fixed: Sequence[str],
        plan: Callable[[int, list[str]], RunPlan],
    ) -> None:
        self.record = record
        self.outcomes: dict[int, CellOutcome] = {}
        self._fixed = fixed
        self._plan = plan
        self._found: dict[tuple[str, ...], float] = {}
        self._directories: dict[Path, list[str]] = {}

    def overrides(self, values: Mapping[str, str]) -> list[str]:
        """The overrides of a trial."""
        return [*self._fixed, *(f"{key}={value}" for key, value in values.items())]

    def value(self, values: Mapping[str, str]) -> float | None:
        """The objective that a trial with these values had; None if there is none."""
        return self._found.get(tuple(self.overrides(values)))

    def take_up(self, tried: Iterable[tuple[Values, float]]) -> None:
        """Takes trials of earlier commands, each with its objective."""
        for values, value in tried:
            (number,) = self.add([values])
            self.settle(number, values, CellOutcome(ExitCode.OK, objective=value))

    def add(self, trials: Sequence[Values]) -> range:
        """Makes cells of trials; returns their numbers.

        Raises:
            ConfigError: Two trials are one run.
        """
        from lm_eval_so.runner.sweep.record import planned

        numbers = range(len(self.outcomes), len(self.outcomes) + len(trials))
        overrides = [self.overrides(values) for values in trials]
        plans = [self._plan(number, own) for number, own in zip(numbers, overrides, strict=True)]
        composed = [(None, own, plan) for own, plan in zip(overrides, plans, strict=True)]
        cells = planned(composed, mask_secrets)
        for own, cell in zip(overrides, cells, strict=True):
            path = cell.directory
            if path is not None and self._directories.setdefault(path, own) != own:
                raise ConfigError(
                    f"two trials are one run, {path}: what differs changes no answer; to keep them "
                    "apart, set variant, such as variant='${runner.max_concurrency}'"
                )
        self.record.extend(
            [cell._replace(settings=dict(own)) for cell, own in zip(cells, trials, strict=True)]
        )
        return numbers

    def settle(self, number: int, values: Values, outcome: CellOutcome) -> None:
        """Notes how a trial ended; an objective counts if all samples were asked."""
        if outcome.exit_code > ExitCode.SAMPLES_FAILED:
            outcome = outcome._replace(objective=None)
        self.outcomes[number] = outcome
        if outcome.objective is not None:
            self._found[tuple(self.overrides(values))] = outcome.objective
