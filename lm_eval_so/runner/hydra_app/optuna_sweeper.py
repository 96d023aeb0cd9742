"""``hydra/sweeper=optuna``: a sweep that picks its cells by what came of those before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.host.output import show
from lm_eval_so.runner.hydra_app.launch.fleet import Launched
from lm_eval_so.runner.hydra_app.sweeper import CellSweeper
from lm_eval_so.runner.hydra_app.trials import Trials
from lm_eval_so.runner.hydra_app.typed_secrets import mask_hidden
from lm_eval_so.runner.run.exit_code import ExitCode
from lm_eval_so.runner.sweep.cell import CellOutcome

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lm_eval_so.runner.config.schema import RunPlan
    from lm_eval_so.runner.hydra_app.optuna_study import Space, Study

_JOURNAL = "search.log"
_NOT_BEGUN = CellOutcome(ExitCode.INTERRUPTED, "not begun")


class SearchSweeper(CellSweeper):
    """Runs trials, each of which is a cell; the same command resumes the search.

    Args:
        params: Values and intervals, as on the command line.
        search: ``n_trials`` of the whole search, those of earlier commands included; ``n_jobs`` at
            once, where the launcher runs cells at once; ``direction`` of the objective,
            ``minimize`` or ``maximize``; ``sampler``, its name or a mapping with the name as
            ``kind`` and arguments of optuna's; ``storage``, an address or None for a file beside
            the record; ``study_name`` in it, None for the name of the record's folder;
            ``max_failure_rate``, the share of a round that may fail without ending the search.
    """

    def __init__(self, params: Mapping[str, Any] | None = None, **search: Any) -> None:
        super().__init__(params)
        self._search = search

    def sweep(self, arguments: list[str]) -> None:
        """Runs the trials that are left, and keeps the record.

        Raises:
            ConfigError: The config is wrong, or names no objective; nothing is sent.
            LmEvalError: optuna is not there, or refuses.
        """
        from lm_eval_so.runner.hydra_app.optuna_study import a_value
        from lm_eval_so.runner.sweep.record import SweepRecord, sweep_folder

        fixed, space = self._read(arguments)
        example = [f"{key}={a_value(values)}" for key, values in space.items()]
        plan = self._plan(0, [*fixed, *example])
        _check(plan)
        if plan.only_shows:
            from lm_eval_so.runner.hydra_app.preview import show_requests

            outcome = show_requests(plan, f"for example {' '.join(example)}")
            self._command.end_sweep(outcome.exit_code)
            return
        searched = [f"{key}={values}" for key, values in space.items()]
        named = sorted(mask_hidden([*fixed, *searched]))
        folder = sweep_folder(plan, named, of_one_dataset=True)
        study = self._study(space, folder)
        record = SweepRecord([], self._command.resume_command, folder)
        trials = Trials(record, fixed, self._plan)
        trials.take_up(study.take_up())
        record.write(trials.outcomes)
        self._command.begin_sweep(folder, [plan])
        signal = self._search_on(study, trials)
        self._finish(record, Launched(trials.outcomes, signal))
        if study.best is not None:
            values, value = study.best
            shown = " ".join(f"{key}={chosen}" for key, chosen in values.items())
            show(f"best      {shown}: {value:g}")

    def _read(self, arguments: list[str]) -> tuple[list[str], Space]:
        """The overrides that all trials have, and what is searched."""
        from lm_eval_so.runner.hydra_app.optuna_study import distribution

        fixed, space = [], {}
        for key, override in self._parsed(arguments).items():
            if override.is_sweep_override():
                space[key] = distribution(override)
            else:
                fixed.append(f"{key}={override.get_value_element_as_str()}")
        return fixed, space

    def _study(self, space: Space, folder: Path) -> Study:
        from lm_eval_so.runner.hydra_app.optuna_study import Study

        sampler = self._search["sampler"]
        return Study(
            space,
            self._search["direction"],
            {"kind": sampler} if isinstance(sampler, str) else dict(sampler),
            self._search["storage"] or folder / _JOURNAL,
            self._search["study_name"] or folder.name,
        )

    def _search_on(self, study: Study, trials: Trials) -> int | None:
        """Runs round after round; returns the exit code of a signal, if one came."""
        left = min(self._search["n_trials"], study.size) - len(trials.outcomes)
        while left > 0:
            asked = [study.ask() for _ in range(int(min(left, self._search["n_jobs"])))]
            left -= len(asked)
            signal = self._run_round([trial.values for trial in asked], trials)
            found = [trials.value(trial.values) for trial in asked]
            for trial, value in zip(asked, found, strict=True):
                if value is not None:
                    study.tell(trial.number, value)
            trials.record.write(trials.outcomes)
            share = found.count(None) / len(found)
            if signal is not None or share > self._search["max_failure_rate"]:
                return signal
        return None

    def _run_round(self, asked: list[dict[str, str]], trials: Trials) -> int | None:
        """Runs those that are new, each once; returns as `_search_on`."""
        new = {
            tuple(trials.overrides(values)): values
            for values in asked
            if trials.value(values) is None
        }
        if not new:
            return None
        numbers = trials.add(list(new.values()))
        outcomes, signal = self._launch(trials.record, [list(own) for own in new], numbers.start)
        for number, values in zip(numbers, new.values(), strict=True):
            trials.settle(number, values, outcomes.get(number, _NOT_BEGUN))
        return signal


def _check(plan: RunPlan) -> None:
    from lm_eval_so.runner.sweep.objective import check_objective

    if plan.objective is None:
        raise ConfigError(
            "a search needs a number to go by, such as objective=summary.latency_ms.p50, and "
            "hydra.sweeper.direction=maximize if more is better"
        )
    check_objective(plan.objective)
