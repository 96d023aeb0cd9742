"""The sweeper: a grid or a list of cells, all of which have their turn, and a record of them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, cast

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.sweeper import Sweeper
from omegaconf import DictConfig, open_dict, read_write

from lm_eval_so.runner.config.overrides import as_typed
from lm_eval_so.runner.hydra_app.launch.fleet import ended_of, to_the_end
from lm_eval_so.runner.hydra_app.launch.kinds import fleet_of
from lm_eval_so.runner.hydra_app.typed import hide_secrets, mask_secrets
from lm_eval_so.runner.run.exit_code import ExitCode, by_signal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hydra.core.override_parser.types import Override
    from hydra.types import HydraContext, TaskFunction

    from lm_eval_so.runner.config.schema import RunPlan
    from lm_eval_so.runner.hydra_app.hydra_task import HydraTask
    from lm_eval_so.runner.sweep.cell import CellOutcome
    from lm_eval_so.runner.sweep.record import SweepRecord


class CellSweeper(Sweeper):
    """Runs every cell, whatever becomes of the others; keeps ``sweep.json`` and ``sweep.csv``.

    Args:
        params: Values of each key, as on the command line: ``{params.temperature: "0,0.5,1"}``.
        cells: Named combinations: ``{small: {model: a, params.seed: 1}}``, or lists of overrides;
            each meets the grid.
    """

    def __init__(
        self,
        params: Mapping[str, Any] | None = None,
        cells: Mapping[str, Mapping[str, Any] | Sequence[str]] | None = None,
    ) -> None:
        self._params = params or {}
        self._cells = cells or {}

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """See Sweeper."""
        self.hydra_context = hydra_context
        self.config = config
        self.task = cast("HydraTask", task_function)
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Runs the cells and writes the record.

        Raises:
            ConfigError: A cell's config is wrong, or two cells are the same run; nothing is sent.
        """
        from lm_eval_so.runner.host.private import make_private  # noqa: PLC0415 - as below
        from lm_eval_so.runner.sweep.record import SweepRecord, planned  # noqa: PLC0415 - not for --help

        grid = list(self._grid(arguments))
        composed = [
            (name, overrides, self._plan(number, overrides))
            for number, (name, overrides) in enumerate(grid)
        ]
        make_private(all(plan.options.private for _, _, plan in composed))
        record = SweepRecord(planned(composed, mask_secrets), self.task.resume_command)
        record.write()
        self.task.labels, self.task.sweep = record.labels, record.path
        self.task.uris = {uri for _, _, plan in composed if (uri := tracking_uri_of(plan))}
        ended, stopped = self._launch(record, record.launches)
        code = max([record.finish(ended), *(end.exit_code for end in ended.values())])
        self.task.exit_code = code if stopped is None else stopped

    def _launch(
        self, record: SweepRecord, cells: list[list[str]], first: int = 0
    ) -> tuple[dict[int, CellOutcome], int | None]:
        """Runs cells, all of which have their turn.

        Args:
            record: Of the sweep.
            cells: Overrides of each.
            first: Number of the first.

        Returns:
            How those ended that were run, by number; and the exit code of a signal, if one came.
        """
        from lm_eval_so.runner.hydra_app.launch.watch import Watch  # noqa: PLC0415 - not for --help

        assert self.launcher is not None  # noqa: S101 - setup() came before
        fleet = fleet_of(self.launcher, cells, first, record.path / "jobs")
        if fleet is not None:
            return to_the_end(fleet, Watch(record.watched, fleet).look)
        try:
            returns = self.launcher.launch(cells, initial_job_idx=first)
        except KeyboardInterrupt:
            ended = {number: end for number, end in self.task.ended.items() if number >= first}
            codes = [end.exit_code for end in ended.values() if by_signal(end.exit_code)]
            return ended, max(codes, default=ExitCode.INTERRUPTED)
        return dict(enumerate(map(ended_of, returns), first)), None

    def _grid(self, arguments: list[str]) -> Iterator[tuple[str | None, list[str]]]:
        assert self.hydra_context is not None  # noqa: S101 - setup() came before
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        declared = (as_typed(f"{key}={value}") for key, value in self._params.items())
        given = [*hide_secrets(list(declared)), *arguments]
        values: dict[str, list[str]] = {}  # by key: a later override takes an earlier one's place
        for override in parser.parse_overrides(given):
            values[override.get_key_element()] = _values(override)
        cells = [(name, hide_secrets(list(_overrides(cell)))) for name, cell in self._cells.items()]
        nameless: list[tuple[str | None, list[str]]] = [(None, [])]
        for name, own in [*cells] or nameless:
            for chosen in itertools.product(*values.values()):
                yield name, own + [f"{k}={v}" for k, v in zip(values, chosen, strict=True)]

    def _plan(self, number: int, overrides: list[str]) -> RunPlan:
        from lm_eval_so.runner.config.compose import plan_from  # noqa: PLC0415 - not for --help
        from lm_eval_so.runner.errors import ConfigError  # noqa: PLC0415 - as above

        assert self.hydra_context is not None and self.config is not None  # noqa: S101, PT018 - setup()
        config = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
        hydra = HydraConfig.instance()
        before = hydra.cfg
        with read_write(config), open_dict(config):
            config.hydra.job.id = config.hydra.job.num = number
            hydra.set_config(config)  # for ${hydra:...} in the cell's values
            del config["hydra"]
        try:
            return plan_from(config)
        except ConfigError as error:
            raise ConfigError(f"cell {' '.join(overrides)}: {error}") from error
        finally:
            hydra.cfg = before


def tracking_uri_of(plan: RunPlan) -> str | None:
    """Where MLflow is, if the run is told to it."""
    if plan.tracking.kind == "none":
        return None
    from lm_eval_so.tracking.address import tracking_uri  # noqa: PLC0415 - only if asked for

    return tracking_uri(plan.tracking.uri, plan.output_root)


def _values(override: Override) -> list[str]:
    if not override.is_sweep_override():
        return [override.get_value_element_as_str()]
    if not override.is_discrete_sweep():
        raise HydraException(
            f"{override.input_line}: a grid needs single values; hydra/sweeper=optuna searches "
            "intervals"
        )
    return [str(value) for value in override.sweep_string_iterator()]


def _overrides(cell: Mapping[str, Any] | Sequence[str]) -> Iterator[str]:
    if hasattr(cell, "items"):
        for key, value in cell.items():
            yield f"{key}={_literal(value)}"
    else:
        yield from map(as_typed, cell)


def _literal(value: object) -> str:
    """A value in the grammar of Hydra's overrides."""
    if isinstance(value, str):
        return "'" + value.replace("'", "\\'") + "'"
    if isinstance(value, bool):
        return str(value).lower()
    if hasattr(value, "items"):
        return "{" + ",".join(f"{key}:{_literal(item)}" for key, item in value.items()) + "}"
    if hasattr(value, "__iter__"):
        return "[" + ",".join(map(_literal, value)) + "]"
    return "null" if value is None else str(value)
