"""The arguments of the command line, made ready for Hydra."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lm_eval_so.runner.config.overrides import as_typed
from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.hydra_app.composition import overrides_first, shipped
from lm_eval_so.runner.hydra_app.typed import hide_secrets

if TYPE_CHECKING:
    from collections.abc import Sequence

_FOLDER_FLAGS = ("--config-dir", "-cd")
_MAIN_FLAGS = ("--config-name", "-cn", "--config-path", "-cp")
_MAIN = "config.yaml"


class Arguments(NamedTuple):
    """What Hydra gets.

    Attributes:
        config_path: Where the main config is looked for first.
        arguments: Overrides, then flags.
    """

    config_path: Path
    arguments: list[str]


def for_hydra(given: Sequence[str]) -> Arguments:
    """Hides secrets, keeps text as it was typed, and puts the user's own groups first.

    Hydra searches ``--config-dir`` last, so that a file with the name of a shipped one would never
    be read. Here the two change places: the user's folder is the main one, and ours the additional
    one.

    Raises:
        ConfigError: The user's folder is missing, or holds a ``config.yaml`` that is not asked for.
    """
    ordered = overrides_first(hide_secrets([as_typed(argument) for argument in given]))
    conf = shipped("conf")
    folder, rest = _without_folder(ordered)
    if folder is None:
        return Arguments(conf, ordered)
    _check(folder, rest)
    if _has_flag(rest, ("--config-path", "-cp")):
        return Arguments(conf, [*rest, "--config-dir", str(folder)])
    return Arguments(folder, [*rest, "--config-dir", str(conf)])


def _without_folder(arguments: Sequence[str]) -> tuple[Path | None, list[str]]:
    folder, rest = None, []
    remaining = iter(arguments)
    for argument in remaining:
        flag, equals, value = argument.partition("=")
        if flag in _FOLDER_FLAGS:
            folder = value if equals else next(remaining, None)
        else:
            rest.append(argument)
    return (None if folder is None else Path(folder).expanduser().absolute()), rest


def _check(folder: Path, flags: Sequence[str]) -> None:
    if not folder.is_dir():
        raise ConfigError(f"--config-dir: there is no folder {folder}")
    if (folder / _MAIN).exists() and not _has_flag(flags, _MAIN_FLAGS):
        raise ConfigError(
            f"{folder / _MAIN} has the name of the shipped main config; give it another name, and "
            "choose it with --config-name NAME"
        )


def _has_flag(arguments: Sequence[str], flags: Sequence[str]) -> bool:
    return any(argument.partition("=")[0] in flags for argument in arguments)
