"""Everything that Hydra needs to know of us, and its errors in our words."""

from __future__ import annotations

import atexit
import os
import re
import secrets
import shutil
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

if TYPE_CHECKING:
    from collections.abc import Sequence

_PACKAGE = Path(__file__).resolve().parent.parent
_SECRET = re.compile(
    r"""((?:api_?key|password|secret|token)['"]?\s*[:=]\s*)  # the name; api_key_env does not match
        ('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^,}\s]+)       # a quoted value, or a bare one""",
    re.VERBOSE | re.IGNORECASE,
)
_USERINFO = re.compile(r"(?<=://)[^/?#\s'\"]*@")
_OPTIONS = re.compile(r"^\+{0,2}backend(\.options)?\b")
_VALUE_FLAGS = {"-cn", "--config-name", "-cp", "--config-path", "-cd", "--config-dir"} | {
    *("-p", "--package", "-c", "--cfg", "-i"),
}
_INFO_TOPICS = {"all", "config", "defaults", "defaults-tree", "plugins", "searchpath"}
_EXTRAS = {
    "hydra/launcher/joblib": "joblib",
    "hydra/launcher/submitit_local": "submitit",
    "hydra/launcher/submitit_slurm": "submitit",
    "hydra/sweeper/optuna": "optuna",
}
"""The extra of this package that brings each of Hydra's plugins."""
_SEVERAL = re.compile(r"(?:value for argument|Sweep parameters) '(?P<key>[^=]*)=(?P<values>.*)'")
_KEY = re.compile(r"[+~]{0,2}[A-Za-z_][\w./@-]*")
_DATASETS = "dataset/"
_PLUGINS = str(Path(__file__).parent / "plugins")
COMPOSITION_ERRORS = (HydraException, OmegaConfBaseException, yaml.YAMLError)


@dataclass
class CellsConf:
    """``hydra.sweeper``: the arguments of `CellSweeper`."""

    _target_: str = "hydra_plugins.lm_eval_so_cells.CellSweeper"
    params: dict[str, Any] | None = None
    cells: dict[str, Any] | None = None


def shipped(folder: str) -> Path:
    """``conf`` or ``example``: in the package where it came as a wheel, else beside it."""
    inside = _PACKAGE / folder
    return inside if inside.is_dir() else _PACKAGE.parent / folder


def register() -> None:
    """Tells Hydra of the resolvers and of the nodes that take any key. May be called again."""
    OmegaConf.register_new_resolver("example", _example, replace=True)
    OmegaConf.register_new_resolver("scratch_dir", scratch_dir, replace=True)
    OmegaConf.register_new_resolver("json_value", _json_value, replace=True)
    nodes = DictConfig(
        {
            "params": _open_node(),
            "backend": {"options": _open_node()},
            "tracking": {"tags": _open_node()},
            "metadata": _open_node(),
        }
    )
    store = ConfigStore.instance().store
    store(name="open_nodes", node=nodes)
    if _PLUGINS not in sys.path:
        sys.path.append(_PLUGINS)  # Hydra takes plugins from the namespace hydra_plugins alone
    store(group="hydra/sweeper", name="cells", node=CellsConf)


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


def hide_secrets(arguments: Sequence[str]) -> list[str]:
    """Moves secrets typed as overrides into environment variables, before Hydra sees them.

    Hydra keeps the overrides of a run in its snapshots and repeats them in its errors; an
    interpolation of a variable is kept unresolved.
    """
    return [
        _SECRET.sub(_into_environment, argument) if _OPTIONS.match(argument) else argument
        for argument in arguments
    ]


def mask_secrets(arguments: Sequence[str]) -> list[str]:
    """The arguments as they may be shown."""
    return [_USERINFO.sub("***@", _SECRET.sub(r"\1***", argument)) for argument in arguments]


def explain(error: Exception) -> str:
    """One sentence for an error of Hydra, OmegaConf, YAML or the file system."""
    match error:
        case OverrideParseException():
            return (
                f"cannot read the override {error.override!r}: {_first_line(error)} (a value with "
                f"special characters needs quotes that Hydra sees: {_in_quotes(error.override)})"
            )
        case MissingConfigException() if error.missing_cfg_file and error.options is not None:
            return _unknown_option(error.missing_cfg_file, error.options)
        case yaml.MarkedYAMLError(problem_mark=yaml.Mark() as mark):
            return f"{mark.name}:{mark.line + 1}: no YAML: {error.problem}"
        case HydraException() | OmegaConfBaseException():
            return _of_a_key(error) or _first_lines(error)
        case OSError(filename=str() as path, strerror=str() as reason):
            return f"cannot read {path}: {reason}"
    return _first_lines(error)


def _in_quotes(override: str | None) -> str:
    """The override as it would have to be typed; an example, where there is no key in it."""
    key, _, value = (override or "").partition("=")
    if not (_KEY.fullmatch(key) and value and value.isprintable()) or set(value) & {"'", '"'}:
        return "'model=\"a=b\"'"
    return f"'{key}=\"{value}\"'"


def _unknown_option(choice: str, options: Sequence[str]) -> str:
    from lm_eval_so.runner.config.sentences import nearest  # noqa: PLC0415 - errors only

    group, _, name = choice.rpartition("/")
    own = choice.removeprefix(_DATASETS)
    if own != choice and Path(own).exists():
        way_out = f"for a path: dataset=path dataset.path={own}"
        return f"no dataset of the config is called {own!r}; {way_out}"
    if extra := _EXTRAS.get(choice):
        return f"{group}={name} needs the extra {extra}: pip install 'lm-eval-so[{extra}]'"
    return f"unknown {group} {name!r}{nearest(name, options)} (known: {', '.join(options)})"


def _of_a_key(error: Exception) -> str | None:
    from lm_eval_so.runner.config.sentences import unknown_key  # noqa: PLC0415 - errors only

    cause = error.__cause__
    key = getattr(error, "full_key", None) or getattr(cause, "full_key", None)
    if key and isinstance(error, HydraException) and "not in struct" in str(cause):
        return unknown_key(key)
    if key and isinstance(error, OmegaConfBaseException):
        return f"{key}: {_first_line(error)}"
    several = _SEVERAL.search(str(error))
    if several is None:
        return None
    key, values = several["key"], several["values"]
    return (
        f"{key}={values} is several values: -m runs each of them; for one list, type "
        f"'{key}=[{values}]', and for one text, '{key}=\"{values}\"'"
    )


def _first_lines(error: Exception) -> str:
    return " ".join(line.strip() for line in str(error).splitlines()[:2])


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def _open_node() -> DictConfig:
    return DictConfig({}, flags={"struct": False})


def _example(path: str) -> str:
    return str(shipped("example") / path)


@cache
def scratch_dir() -> str:
    """Where Hydra's sweeper insists on leaving its files: gone when the process ends."""
    path = tempfile.mkdtemp(prefix="lm-eval-so-")
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def _json_value(encoded: str) -> Any:  # noqa: ANN401 - a string that is JSON within
    from lm_eval_so.runner.config.compose import EncodedJson  # noqa: PLC0415 - pydantic

    return EncodedJson.resolve(encoded)


def _into_environment(match: re.Match[str]) -> str:
    name, value = match.groups()
    if value.startswith("${"):
        return match.group()
    if value[0] in "'\"":
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    variable = f"LM_EVAL_SO_SECRET_{secrets.token_hex(4)}"
    os.environ[variable] = value
    return f"{name}${{oc.env:{variable}}}"
