"""Everything that Hydra needs to know of us, and its errors in our words."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from hydra.core import utils as hydra_utils
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lm_eval_so.runner.hydra_app.typed import mask_secret
from lm_eval_so.runner.masking.yaml_text import without_secrets

if TYPE_CHECKING:
    from collections.abc import Sequence

_PACKAGE = Path(__file__).resolve().parents[2]
_VALUE_FLAGS = {"-cn", "--config-name", "-cp", "--config-path", "-cd", "--config-dir"} | {
    *("-p", "--package", "-c", "--cfg", "-i"),
}
_INFO_TOPICS = {"all", "config", "defaults", "defaults-tree", "plugins", "searchpath"}
_EXTRAS = {
    "hydra/launcher/joblib": "joblib",
    "hydra/launcher/submitit_local": "submitit",
    "hydra/launcher/submitit_slurm": "submitit",
}
"""The extra of this package that brings each of Hydra's plugins."""
SAMPLERS = ("tpe", "random", "grid", "gp", "cmaes", "nsgaii", "qmc")
"""``hydra/sweeper/sampler`` of a search: how it picks the values."""
_SEVERAL = re.compile(r"(?:value for argument|Sweep parameters) '(?P<key>[^=]*)=(?P<values>.*)'")
_KEY = re.compile(r"[+~]{0,2}[A-Za-z_][\w./@-]*")
_DATASETS = "dataset/"
_PLUGINS = str(Path(__file__).parent / "plugins")
_scratch: str | None = None
COMPOSITION_ERRORS = (HydraException, OmegaConfBaseException, yaml.YAMLError)


@dataclass
class CellsConf:
    """``hydra.sweeper``: the arguments of `CellSweeper`."""

    _target_: str = "hydra_plugins.lm_eval_so_cells.CellSweeper"
    params: dict[str, Any] | None = None
    cells: dict[str, Any] | None = None


@dataclass
class SearchConf:
    """``hydra.sweeper`` with ``hydra/sweeper=optuna``: the arguments of `SearchSweeper`."""

    defaults: list[Any] = field(default_factory=lambda: ["_self_", {"sampler": "tpe"}])
    _target_: str = "hydra_plugins.lm_eval_so_cells.SearchSweeper"
    n_trials: int = 20
    n_jobs: int = 2
    direction: str = "minimize"
    sampler: Any = None
    storage: str | None = None
    study_name: str | None = None
    max_failure_rate: float = 0.0
    params: dict[str, Any] | None = None


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
    hydra_utils._save_config = _save_config  # noqa: SLF001 - it has no public name
    if _PLUGINS not in sys.path:
        sys.path.append(_PLUGINS)  # Hydra takes plugins from the namespace hydra_plugins alone
    store(group="hydra/sweeper", name="cells", node=CellsConf)


def _save_config(cfg: DictConfig, filename: str, output_dir: Path) -> None:
    """Hydra's snapshot of a job (``hydra.output_subdir``), without secrets."""
    output_dir.mkdir(parents=True, exist_ok=True)
    text = without_secrets(OmegaConf.to_yaml(cfg), mask_secret)
    (output_dir / filename).write_text(text, encoding="utf-8")


def register_search() -> None:
    """Tells Hydra of our search, after its plugins: an older one has the same name."""
    Plugins.instance()
    store = ConfigStore.instance().store
    store(group="hydra/sweeper", name="optuna", node=SearchConf)
    for sampler in SAMPLERS:
        node = DictConfig({"kind": sampler}, flags={"struct": False})
        store(
            group="hydra/sweeper/sampler", name=sampler, node=node, package="hydra.sweeper.sampler"
        )


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


def explain(error: Exception) -> str:
    """One sentence for an error of Hydra, OmegaConf, YAML or the file system."""
    return mask_secret(_explained(error))


def _explained(error: Exception) -> str:
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
    from lm_eval_so.runner.config.messages import nearest  # noqa: PLC0415 - errors only

    group, _, name = choice.rpartition("/")
    own = choice.removeprefix(_DATASETS)
    if own != choice and Path(own).exists():
        way_out = f"for a path: dataset=path dataset.path={own}"
        return f"no dataset of the config is called {own!r}; {way_out}"
    if extra := _EXTRAS.get(choice):
        return f"{group}={name} needs the extra {extra}: pip install 'lm-eval-so[{extra}]'"
    return f"unknown {group} {name!r}{nearest(name, options)} (known: {', '.join(options)})"


def _of_a_key(error: Exception) -> str | None:
    from lm_eval_so.runner.config.messages import unknown_key  # noqa: PLC0415 - errors only

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


def scratch_dir(beside: str = ".") -> str:
    """Where Hydra insists on a folder for the files of a sweep: gone when the process ends.

    Args:
        beside: Where it is made if no temporary folder can be written: then other temporary files
            of this process and its children go there too.
    """
    global _scratch  # noqa: PLW0603 - one a process
    if _scratch is None:
        try:
            _scratch = tempfile.mkdtemp(prefix="lm-eval-so-")
        except FileNotFoundError:  # none of the folders that Python tries
            folder = Path(beside).expanduser().absolute()
            folder.mkdir(parents=True, exist_ok=True)
            _scratch = tempfile.mkdtemp(prefix=".scratch-", dir=folder)
            tempfile.tempdir = os.environ["TMPDIR"] = _scratch
        atexit.register(shutil.rmtree, _scratch, ignore_errors=True)
    return _scratch


def share_scratch_dir(path: str) -> None:
    """In a launcher's process: the folder is that of the whole sweep, and others remove it."""
    global _scratch  # noqa: PLW0603 - as above
    _scratch = path


def _json_value(encoded: str) -> Any:  # noqa: ANN401 - a string that is JSON within
    from lm_eval_so.runner.config.compose import EncodedJson  # noqa: PLC0415 - pydantic

    return EncodedJson.resolve(encoded)
