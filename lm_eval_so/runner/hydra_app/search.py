"""``hydra/sweeper=optuna``: a sweep whose cells are picked by what came of those before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.overrides_parser import OverridesParser

from lm_eval_so.runner.config.overrides import as_typed
from lm_eval_so.runner.host.output import show
from lm_eval_so.runner.hydra_app.sweeper import CellSweeper, tracking_uri_of
from lm_eval_so.runner.hydra_app.typed import mask_secrets
from lm_eval_so.runner.run.exit_code import ExitCode
from lm_eval_so.runner.sweep.cell import CellOutcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from lm_eval_so.runner.config.schema import RunPlan
    from lm_eval_so.runner.hydra_app.study import Space, Study
    from lm_eval_so.runner.sweep.record import SweepRecord

_JOURNAL = "search.log"
_CAME_THROUGH = 1  # the highest exit code of a run that has asked all its samples


class SearchSweeper(CellSweeper):
    """Runs trials, each of which is a cell; the same command goes on with the search.

    Args:
        params: Values and intervals, as on the command line.
        search: ``n_trials`` of the whole search, those of earlier commands included; ``n_jobs`` at
            once, where the launcher runs cells at once; ``direction`` of the objective,
            ``minimize`` or ``maximize``; ``sampler``, its name or a mapping with the name as
            ``kind`` and arguments of optuna's; ``storage``, an address or None for a file beside
            the record; ``study_name`` in it, None for the name of the record's folder;
            ``max_failure_rate``, the share of a round that may fail without ending the search.
    """

    def __init__(self, params: Mapping[str, Any] | None = None, **search: Any) -> None:  # noqa: ANN401
        super().__init__(params)
        self._search = search
        self._ended: dict[int, CellOutcome] = {}
        self._known: dict[tuple[str, ...], float] = {}  # what came of overrides
        self._taken: dict[Path, list[str]] = {}
        self._fixed: list[str] = []

    def sweep(self, arguments: list[str]) -> None:
        """Runs the trials that are left, and keeps the record.

        Raises:
            ConfigError: The config is wrong, or names no objective; nothing is sent.
            LmEvalError: optuna is not there, or refuses.
        """
        from lm_eval_so.runner.hydra_app.study import a_value  # noqa: PLC0415 - an extra
        from lm_eval_so.runner.sweep.record import SweepRecord, sweep_folder  # noqa: PLC0415 - not for --help

        fixed, space = self._read(arguments)
        self._fixed = fixed
        plan = self._plan(0, self._words({key: a_value(values) for key, values in space.items()}))
        _check(plan)
        named = sorted([*fixed, *(f"{key}={values}" for key, values in space.items())])
        folder = sweep_folder(plan, named, of_one_dataset=True)
        study = self._study(space, folder)
        record = SweepRecord([], self.task.resume_command, folder)
        for values, value in study.take_up():
            self._add(record, [values])
            self._ended[len(self._ended)] = CellOutcome(0, objective=value)
            self._known[tuple(self._words(values))] = value
        record.write(self._ended)
        self.task.sweep = record.path
        self.task.uris = {uri for uri in [tracking_uri_of(plan)] if uri}
        stopped = self._go_on(study, record)
        code = max([record.finish(self._ended), *(end.exit_code for end in self._ended.values())])
        self.task.exit_code = code if stopped is None else stopped
        if study.best is not None:
            values, value = study.best
            show(f"best      {' '.join(self._words(values)[len(fixed) :])}: {value:g}")

    def _study(self, space: Space, folder: Path) -> Study:
        from lm_eval_so.runner.hydra_app.study import Study  # noqa: PLC0415 - an extra

        sampler = self._search["sampler"]
        return Study(
            space,
            self._search["direction"],
            {"kind": sampler} if isinstance(sampler, str) else dict(sampler),
            self._search["storage"] or folder / _JOURNAL,
            self._search["study_name"] or folder.name,
        )

    def _go_on(self, study: Study, record: SweepRecord) -> int | None:
        """Round after round; returns the exit code of a signal, if one came."""
        left = min(self._search["n_trials"], study.size) - len(self._ended)
        while left > 0:
            asked = [study.ask() for _ in range(int(min(left, self._search["n_jobs"])))]
            left -= len(asked)
            new = {tuple(self._words(trial.values)): trial.values for trial in asked}
            new = {words: values for words, values in new.items() if words not in self._known}
            first = len(self._ended)
            self._add(record, list(new.values()))
            ended, stopped = self._launch(record, list(map(list, new)), first)
            for number, words in enumerate(new, first):
                end = ended.get(number, CellOutcome(ExitCode.INTERRUPTED, "not begun"))
                if end.exit_code > _CAME_THROUGH:
                    end = end._replace(objective=None)  # of a part of the samples
                self._ended[number] = end
                if end.objective is not None:
                    self._known[words] = end.objective
            values = [self._known.get(tuple(self._words(trial.values))) for trial in asked]
            for trial, value in zip(asked, values, strict=True):
                if value is not None:
                    study.tell(trial.number, value)
            record.write(self._ended)
            share = values.count(None) / len(values)
            if stopped is not None or share > self._search["max_failure_rate"]:
                return stopped
        return None

    def _add(self, record: SweepRecord, trials: Sequence[dict[str, str]]) -> None:
        """Makes cells of trials.

        Raises:
            ConfigError: Two trials are one run.
        """
        from lm_eval_so.runner.errors import ConfigError  # noqa: PLC0415 - not for --help
        from lm_eval_so.runner.sweep.record import planned  # noqa: PLC0415 - not for --help

        first = len(self._ended)
        words = [self._words(values) for values in trials]
        cells = planned(
            [(None, own, self._plan(first + n, own)) for n, own in enumerate(words)], mask_secrets
        )
        for own, cell in zip(words, cells, strict=True):
            if cell.directory is not None and self._taken.setdefault(cell.directory, own) != own:
                raise ConfigError(
                    f"two trials are one run, {cell.directory}: what differs changes no answer; to "
                    "keep them apart, set variant, such as variant='${runner.max_concurrency}'"
                )
        record.extend(
            [cell._replace(settings=dict(own)) for cell, own in zip(cells, trials, strict=True)]
        )
        self.task.labels = record.labels

    def _words(self, values: Mapping[str, str]) -> list[str]:
        return [*self._fixed, *(f"{key}={value}" for key, value in values.items())]

    def _read(self, arguments: list[str]) -> tuple[list[str], Space]:
        """The overrides that all trials have, and what is searched."""
        from lm_eval_so.runner.hydra_app.study import distribution  # noqa: PLC0415 - an extra

        assert self.hydra_context is not None  # noqa: S101 - setup() came before
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        declared = (as_typed(f"{key}={value}") for key, value in self._params.items())
        given = parser.parse_overrides([*declared, *arguments])
        by_key = {override.get_key_element(): override for override in given}  # the last one holds
        fixed = [
            f"{key}={override.get_value_element_as_str()}"
            for key, override in by_key.items()
            if not override.is_sweep_override()
        ]
        space = {
            key: distribution(override)
            for key, override in by_key.items()
            if override.is_sweep_override()
        }
        return fixed, space


def _check(plan: RunPlan) -> None:
    from lm_eval_so.runner.errors import ConfigError  # noqa: PLC0415 - not for --help
    from lm_eval_so.runner.sweep.objective import check_objective  # noqa: PLC0415 - as above

    if plan.objective is None:
        raise ConfigError(
            "a search goes by a number: objective=summary.latency_ms.p50, for one; with "
            "hydra.sweeper.direction=maximize where more is better"
        )
    check_objective(plan.objective)
