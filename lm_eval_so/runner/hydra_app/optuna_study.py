"""A search by optuna: picks the values to try next by earlier results; kept in a storage."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from lm_eval_so.runner.errors import ConfigError, LmEvalError

try:
    import optuna
except ImportError as missing:
    raise ConfigError(
        "hydra/sweeper=optuna needs the extra optuna: pip install 'lm-eval-so[optuna]'"
    ) from missing
if not hasattr(optuna.storages, "JournalStorage"):
    raise ConfigError(
        f"hydra/sweeper=optuna: optuna {optuna.__version__} is too old: "
        "pip install --upgrade 'lm-eval-so[optuna]'"
    )

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hydra.core.override_parser.types import Override

_SAMPLERS = {
    "tpe": optuna.samplers.TPESampler,
    "random": optuna.samplers.RandomSampler,
    "grid": optuna.samplers.GridSampler,
    "gp": optuna.samplers.GPSampler,
    "cmaes": optuna.samplers.CmaEsSampler,
    "nsgaii": optuna.samplers.NSGAIISampler,
    "qmc": optuna.samplers.QMCSampler,
}
_OVER = optuna.trial.TrialState.COMPLETE
optuna.logging.set_verbosity(optuna.logging.WARNING)

Space = dict[str, optuna.distributions.BaseDistribution]


class Asked(NamedTuple):
    """Values to try.

    Attributes:
        values: By key, as text for an override.
    """

    number: int
    values: dict[str, str]


class Study:
    """A search that a later command can resume.

    Args:
        space: What each key may be.
        direction: ``minimize`` or ``maximize``.
        sampler: Name of one as ``kind``, and its arguments.
        storage: An address, or the file of a journal.
        name: In the storage.

    Raises:
        LmEvalError: optuna refuses.
    """

    def __init__(
        self,
        space: Space,
        direction: str,
        sampler: Mapping[str, Any],
        storage: str | Path,
        name: str,
    ) -> None:
        self._space = space
        try:
            self._study = optuna.create_study(
                study_name=name,
                storage=storage if isinstance(storage, str) else _journal(storage),
                sampler=_sampler(space, **sampler),
                direction=direction,
                load_if_exists=True,
            )
        except Exception as error:  # a storage may raise whatever its database does
            raise LmEvalError(f"hydra/sweeper=optuna: {error}") from error

    def take_up(self) -> list[tuple[dict[str, str], float]]:
        """What was tried, and what came of it; what was not finished is asked for again."""
        tried = []
        for trial in self._study.get_trials(deepcopy=False):
            if trial.state == _OVER and trial.value is not None:
                tried.append((_as_text(trial.params), trial.value))
            elif trial.state == optuna.trial.TrialState.RUNNING:
                self._study.enqueue_trial(trial.params)
                self._study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        return tried

    @property
    def size(self) -> float:
        """How many combinations there are, if the sampler tries each once; else infinite."""
        sampler = self._study.sampler
        grid = isinstance(sampler, optuna.samplers.GridSampler)
        return math.prod(map(len, _grid(self._space).values())) if grid else math.inf

    def ask(self) -> Asked:
        """The next values."""
        trial = self._study.ask(self._space)
        return Asked(trial.number, _as_text(trial.params))

    def tell(self, number: int, value: float) -> None:
        """Notes what came of them; values without a result are tried again by a later command."""
        with suppress(RuntimeError):  # the grid's sampler says so where all has been tried
            self._study.tell(number, value)

    @property
    def best(self) -> tuple[dict[str, str], float] | None:
        """The values with the best result, and that result."""
        if not any(trial.state == _OVER for trial in self._study.get_trials(deepcopy=False)):
            return None
        return _as_text(self._study.best_params), self._study.best_value


def distribution(override: Override) -> optuna.distributions.BaseDistribution:
    """What a sweep on the command line means: an interval, a range or a choice."""
    value: Any = override.value()
    if override.is_interval_sweep():
        log = "log" in value.tags
        if isinstance(value.start, int) and isinstance(value.end, int):
            return optuna.distributions.IntDistribution(value.start, value.end, log=log)
        return optuna.distributions.FloatDistribution(value.start, value.end, log=log)
    values = [str(text) for text in override.sweep_string_iterator()]
    if override.is_range_sweep() and not value.shuffle:
        numbers = (value.start, value.stop, value.step)
        if all(isinstance(number, int) for number in numbers):
            return optuna.distributions.IntDistribution(
                int(values[0]), int(values[-1]), step=value.step
            )
    return optuna.distributions.CategoricalDistribution(values)


def a_value(values: optuna.distributions.BaseDistribution) -> str:
    """One of them, to compose a config with before any is tried."""
    if isinstance(values, optuna.distributions.CategoricalDistribution):
        return str(values.choices[0])
    low: float = values.low  # all others have it
    return str(low)


def _sampler(space: Space, kind: str, **arguments: Any) -> optuna.samplers.BaseSampler:
    if kind not in _SAMPLERS:
        raise LmEvalError(f"unknown sampler {kind!r} (known: {', '.join(_SAMPLERS)})")
    if kind == "grid":
        arguments["search_space"] = _grid(space)
    return _SAMPLERS[kind](**arguments)


def _grid(space: Space) -> dict[str, list[Any]]:
    grid: dict[str, list[Any]] = {}
    for key, values in space.items():
        if isinstance(values, optuna.distributions.CategoricalDistribution):
            grid[key] = list(values.choices)
        elif isinstance(values, optuna.distributions.IntDistribution):
            grid[key] = list(range(values.low, values.high + 1, values.step))
        else:
            raise ConfigError(f"{key}: a grid needs single values, such as choice(0,0.5,1)")
    return grid


def _journal(path: Path) -> optuna.storages.BaseStorage:
    path.parent.mkdir(parents=True, exist_ok=True)
    backend = optuna.storages.journal.JournalFileBackend(str(path))
    return optuna.storages.JournalStorage(backend)


def _as_text(values: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(value) for key, value in values.items()}
