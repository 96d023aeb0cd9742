"""The sweeper: a grid or a list of cells, all of which have their turn, and a record of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from omegaconf import DictConfig, open_dict, read_write

from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.hydra_app.grid import grid, parsed
from lm_eval_so.runner.hydra_app.hydra_task import Sweep
from lm_eval_so.runner.hydra_app.launch.fleet import Launched, outcome_of, wait_for_all
from lm_eval_so.runner.hydra_app.launch.kinds import fleet_of
from lm_eval_so.runner.hydra_app.page import tell_page
from lm_eval_so.runner.hydra_app.typed_secrets import mask_secrets
from lm_eval_so.runner.run.exit_code import ExitCode, by_signal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hydra.core.override_parser.types import Override
    from hydra.types import HydraContext, TaskFunction

    from lm_eval_so.runner.config.schema import RunPlan
    from lm_eval_so.runner.hydra_app.grid import NamedCells
    from lm_eval_so.runner.hydra_app.hydra_task import HydraTask
    from lm_eval_so.runner.sweep.record import SweepRecord


class CellSweeper(Sweeper):
    """Runs every cell, whatever becomes of the others; keeps ``sweep.json`` and ``sweep.csv``.

    Args:
        params: Values of each key, as on the command line: ``{params.temperature: "0,0.5,1"}``.
        cells: Named combinations: ``{small: {model: a, params.seed: 1}}``, or lists of overrides;
            each meets the grid.
    """

    def __init__(
        self, params: Mapping[str, Any] | None = None, cells: NamedCells | None = None
    ) -> None:
        self._params = params or {}
        self._cells = cells or {}

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """See Sweeper."""
        self._context = hydra_context
        self._config = config
        self._task = cast("HydraTask", task_function)
        self._command = self._task.command
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Runs the cells and writes the record.

        Raises:
            ConfigError: A cell's config is wrong, or two cells are the same run; nothing is sent.
        """
        from lm_eval_so.runner.host.private import make_private
        from lm_eval_so.runner.sweep.record import SweepRecord, planned

        composed = [
            (name, overrides, self._plan(number, overrides))
            for number, (name, overrides) in enumerate(grid(self._parsed(arguments), self._cells))
        ]
        plans = [plan for _, _, plan in composed]
        make_private(all(plan.options.private for plan in plans))
        record = SweepRecord(planned(composed, mask_secrets), self._command.resume_command)
        if any(plan.only_shows for plan in plans):
            self._command.end_sweep(_show_previews(plans, record.labels))
            return
        record.write()
        self._command.begin_sweep(record.path, plans)
        self._finish(record, self._launch(record, record.launches))

    def _launch(self, record: SweepRecord, cells: list[list[str]], first: int = 0) -> Launched:
        """Runs cells, all of which have their turn.

        Args:
            record: Of the sweep.
            cells: Overrides of each.
            first: Number of the first.
        """
        from lm_eval_so.runner.hydra_app.launch.watch import Watch

        self._launcher.setup(
            hydra_context=self._context,
            task_function=self._task.within(Sweep(record.path, tuple(record.labels))),
            config=self._config,
        )
        fleet = fleet_of(self._launcher, cells, first, record.path / "jobs")
        if fleet is not None:
            return wait_for_all(fleet, Watch(record.watched, fleet).look)
        try:
            returned = self._launcher.launch(cells, initial_job_idx=first)
        except KeyboardInterrupt:
            outcomes = {
                number: outcome
                for number, outcome in self._command.outcomes.items()
                if number >= first
            }
            codes = [outcome.exit_code for outcome in outcomes.values()]
            return Launched(outcomes, max(filter(by_signal, codes), default=ExitCode.INTERRUPTED))
        return Launched(dict(enumerate(map(outcome_of, returned), first)))

    def _finish(self, record: SweepRecord, launched: Launched) -> None:
        """Completes the record, and tells the command how the sweep ended."""
        codes = [outcome.exit_code for outcome in launched.outcomes.values()]
        worst = max([record.finish(launched.outcomes), *codes])
        if record.has_begun:
            tell_page(record.path, auto=record.wants_page)
        self._command.end_sweep(worst if launched.signal is None else launched.signal)

    def _parsed(self, arguments: list[str]) -> dict[str, Override]:
        parser = OverridesParser.create(config_loader=self._context.config_loader)
        return parsed(parser, self._params, arguments)

    def _plan(self, number: int, overrides: list[str]) -> RunPlan:
        """Composes a cell, as its launcher will do."""
        from lm_eval_so.runner.config.compose import plan_from

        config = self._context.config_loader.load_sweep_config(self._config, list(overrides))
        hydra = HydraConfig.instance()
        before = hydra.cfg
        with read_write(config), open_dict(config):
            config.hydra.job.id = config.hydra.job.num = number
            choice = config.hydra.runtime.choices.get("prompt")
            hydra.set_config(config)  # for ${hydra:...} in the cell's values
            del config["hydra"]
        try:
            return plan_from(config, choice)
        except ConfigError as error:
            raise ConfigError(f"cell {' '.join(overrides)}: {error}") from error
        finally:
            hydra.cfg = before


def _show_previews(plans: list[RunPlan], labels: list[str]) -> int:
    """Shows what the cells would send; returns the exit code."""
    from lm_eval_so.runner.hydra_app.preview import show_requests

    codes = [ExitCode.OK]
    for number, (plan, label) in enumerate(zip(plans, labels, strict=True), start=1):
        if plan.only_shows:
            outcome = show_requests(plan, f"{number}/{len(plans)} {label}")
            codes.append(ExitCode(outcome.exit_code))
    return max(codes)
