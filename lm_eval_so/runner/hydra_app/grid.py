"""The cells of a sweep that is declared: named combinations times a grid of values."""

from __future__ import annotations

import itertools
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.types import Glob
from hydra.errors import HydraException

from lm_eval_so.runner.config.overrides import as_typed
from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.hydra_app.typed_secrets import hide_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import Override

    NamedCells = Mapping[str, Mapping[str, Any] | Sequence[str]]


def parsed(
    parser: OverridesParser, params: Mapping[str, Any], arguments: Sequence[str]
) -> dict[str, Override]:
    """The overrides of a sweep by key: of two for one key, the later one holds.

    Args:
        parser: Hydra's.
        params: ``hydra.sweeper.params``.
        arguments: Of the command line; they come after ``params``.
    """
    declared = hide_secrets([as_typed(f"{key}={value}") for key, value in params.items()])
    found = parser.parse_overrides([*declared, *arguments])
    return {override.get_key_element(): override for override in found}


def grid(
    swept: Mapping[str, Override], cells: NamedCells
) -> Iterator[tuple[str | None, list[str]]]:
    """Name, if it has one, and overrides of each cell.

    Args:
        swept: Overrides by key, each with one value or several.
        cells: Named combinations, as `CellSweeper` takes them.

    Raises:
        HydraException: A value is an interval.
    """
    values = {key: _values(override) for key, override in swept.items()}
    own = [(name, hide_secrets(list(_overrides(cell)))) for name, cell in cells.items()]
    nameless: list[tuple[str | None, list[str]]] = [(None, [])]
    for name, overrides in [*own] or nameless:
        for chosen in itertools.product(*values.values()):
            yield name, overrides + [f"{k}={v}" for k, v in zip(values, chosen, strict=True)]


def _values(override: Override) -> list[str]:
    pattern: object = override._value
    if isinstance(pattern, Glob):
        return _matching(override, pattern)
    if not override.is_sweep_override():
        return [override.get_value_element_as_str()]
    if not override.is_discrete_sweep():
        raise HydraException(
            f"{override.input_line}: a grid needs single values; hydra/sweeper=optuna searches "
            "intervals"
        )
    return [str(value) for value in override.sweep_string_iterator()]


def _matching(override: Override, pattern: Glob) -> list[str]:
    """What a glob stands for: the options of a group, else files.

    Raises:
        ConfigError: Nothing matches.
    """
    options = override.config_loader and override.config_loader.get_group_options(
        override.key_or_group
    )
    if options:
        found = pattern.filter(options)
    else:
        excluded = {path for each in pattern.exclude for path in _files(each)}
        files = {path for each in pattern.include for path in _files(each)}
        found = [_literal(path) for path in sorted(files - excluded)]
    if not found:
        raise ConfigError(f"{override.input_line}: nothing matches")
    return list(found)


def _files(pattern: str) -> list[str]:
    found: list[str] = glob(str(Path(pattern).expanduser()), recursive=True)  # noqa: PTH207 - it may be absolute
    return found


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
