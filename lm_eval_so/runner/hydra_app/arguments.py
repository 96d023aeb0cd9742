"""The arguments of the command line, made ready for Hydra."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lm_eval_so.runner.config.overrides import as_prose, as_typed
from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.hydra_app.shipped import shipped
from lm_eval_so.runner.hydra_app.typed_secrets import hide_secrets

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER_FLAGS = ("--config-dir", "-cd")
_SWEEP_FLAGS = ("-m", "--multirun")
MAIN_FLAGS = ("--config-name", "-cn", "--config-path", "-cp")
_VALUE_FLAGS = {*FOLDER_FLAGS, *MAIN_FLAGS, "-p", "--package", "-c", "--cfg", "-i"}
_INFO_TOPICS = {"all", "config", "defaults", "defaults-tree", "plugins", "searchpath"}
_MAIN = "config.yaml"
_NO_EXPERIMENT = "experiment=null"
"""The default, for which Hydra has no override."""
_RUNS = re.compile(r"--?(m|r|c(n|p|d|onfig)|p(ackage)?$|experimental).*|[^-].*")
"""Arguments with which something is run; others only print: ``--cfg``, ``--info``, ``--help``."""


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
        ConfigError: The user's folder is missing, or holds a ``config.yaml`` that is not asked for;
            or an argument is no text.
    """
    for argument in given:
        _check_text(argument)
    given = [argument for argument in given if argument != _NO_EXPERIMENT]
    if not _has_flag(given, _SWEEP_FLAGS):
        given = [as_prose(argument) for argument in given]
    ordered = overrides_first(hide_secrets([as_typed(argument) for argument in given]))
    conf = shipped("conf")
    given_folder, rest = _without_folder(ordered)
    if given_folder is None:
        return Arguments(conf, ordered)
    folder = _checked(given_folder, rest)
    if _has_flag(rest, ("--config-path", "-cp")):
        return Arguments(conf, [*rest, "--config-dir", str(folder)])
    return Arguments(folder, [*rest, "--config-dir", str(conf)])


def overrides_first(arguments: Sequence[str]) -> list[str]:
    """The overrides, then the flags: argparse takes positional arguments only in one place."""
    overrides: list[str] = []
    flags: list[str] = []
    pending = ""
    for argument in arguments:
        is_value = pending in _VALUE_FLAGS or (pending == "--info" and argument in _INFO_TOPICS)
        (flags if is_value or argument.startswith("-") else overrides).append(argument)
        pending = "" if is_value else argument
    return [*overrides, *flags]


def only_prints(arguments: Sequence[str]) -> bool:
    """Whether Hydra runs nothing, but shows its help or the config."""
    return not all(_RUNS.fullmatch(argument) for argument in arguments if argument)


def _without_folder(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    folder, rest = None, []
    remaining = iter(arguments)
    for argument in remaining:
        flag, equals, value = argument.partition("=")
        if flag in FOLDER_FLAGS:
            folder = value if equals else next(remaining, None)
        else:
            rest.append(argument)
    return folder, rest


def _checked(given: str, flags: Sequence[str]) -> Path:
    if not given.strip():
        raise ConfigError("--config-dir: is empty; is a variable of the shell not set?")
    folder = Path(given).expanduser().absolute()
    if not folder.is_dir():
        raise ConfigError(f"--config-dir: there is no folder {folder}")
    if (folder / _MAIN).exists() and not _has_flag(flags, MAIN_FLAGS):
        raise ConfigError(
            f"{folder / _MAIN} has the name of the shipped main config; give it another name, and "
            "choose it with --config-name NAME"
        )
    return folder


def _check_text(argument: str) -> None:
    try:
        argument.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(f"the argument {argument!r} holds bytes that are not UTF-8") from error


def _has_flag(arguments: Sequence[str], flags: Sequence[str]) -> bool:
    return any(argument.partition("=")[0] in flags for argument in arguments)
