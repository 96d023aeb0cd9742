"""Errors of Hydra, OmegaConf and YAML in our words."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import yaml
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from lm_eval_so.runner.hydra_app.typed_secrets import mask_secret

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

COMPOSITION_ERRORS = (HydraException, OmegaConfBaseException, yaml.YAMLError)
_EXTRAS = {
    "hydra/launcher/joblib": "joblib",
    "hydra/launcher/submitit_local": "submitit",
    "hydra/launcher/submitit_slurm": "submitit",
}
"""The extra of this package that brings each of Hydra's plugins."""
_SEVERAL = re.compile(r"(?:value for argument|Sweep parameters) '(?P<key>[^=]*)=(?P<values>.*)'")
_RECURSION = "the defaults of a config file lead back to it, or a value is nested too deep"
_MERGED = re.compile(r"Error merging override (?P<key>[^=]*)=(?P<value>[\[\w].*)")
_KEY = re.compile(r"[+~]{0,2}[A-Za-z_][\w./@-]*")
_DATASETS = "dataset/"


def explain(error: Exception, folders: Sequence[Path] = ()) -> str:
    """One sentence for an error of Hydra, OmegaConf, YAML or the file system.

    Args:
        error: What was raised while the config was composed.
        folders: Where its files are.
    """
    if _may_be_of_a_file(error):
        from lm_eval_so.runner.hydra_app.config_files import file_fault

        if fault := file_fault(folders):
            return mask_secret(fault)
    return _RECURSION if isinstance(error, RecursionError) else mask_secret(_explained(error))


def _may_be_of_a_file(error: Exception) -> bool:
    """Whether it can come from a file that it does not name."""
    match error:
        case UnicodeDecodeError() | RecursionError():
            return True
        case OSError():
            return error.filename is None
        case HydraException():
            return not str(error) or "while composing config" in str(error)
    return False


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
            return f"{mark.name}:{mark.line + 1}: not valid YAML: {error.problem}"
        case HydraException() | OmegaConfBaseException():
            return _of_a_key(error) or _first_lines(error)
        case OSError(filename=str() as path, strerror=str() as reason):
            return f"cannot read {path}: {reason}"
    return _of_its_kind(error) if isinstance(error, TypeError) else _first_lines(error)


def _in_quotes(override: str | None) -> str:
    """The override as it must be typed; an example if it has no key."""
    key, _, value = (override or "").partition("=")
    if not (_KEY.fullmatch(key) and value and value.isprintable()) or set(value) & {"'", '"'}:
        return "'model=\"a=b\"'"
    return f"'{key}=\"{value}\"'"


def _unknown_option(choice: str, options: Sequence[str]) -> str:
    from lm_eval_so.runner.config.messages import nearest

    group, _, name = choice.rpartition("/")
    own = choice.removeprefix(_DATASETS)
    if own and own != choice and os.path.exists(own):  # noqa: PTH110 - never an OSError
        return f"dataset={own} names a path; type dataset=path dataset.path={own}"
    if extra := _EXTRAS.get(choice):
        return f"{group}={name} needs the extra {extra}: pip install 'lm-eval-so[{extra}]'"
    return f"unknown {group} {name!r}{nearest(name, options)} (known: {', '.join(options)})"


def _of_a_key(error: Exception) -> str | None:
    from lm_eval_so.runner.config.messages import unknown_key

    cause = error.__cause__
    key = getattr(error, "full_key", None) or getattr(cause, "full_key", None)
    if key and isinstance(error, HydraException) and "not in struct" in str(cause):
        return unknown_key(key)
    if key and isinstance(error, OmegaConfBaseException):
        return f"{key}: {_first_line(error)}"
    if merged := _MERGED.match(str(error)):
        return f"{merged['key']} must be a mapping, got {merged['value']}"
    several = _SEVERAL.search(str(error))
    if several is None:
        return None
    key, values = several["key"], several["values"]
    return (
        f"{key}={values} has several values: -m runs each of them; for one list, type "
        f"'{key}=[{values}]', and for one text, '{key}=\"{values}\"'"
    )


def _first_lines(error: Exception) -> str:
    lines = str(error).splitlines()[:2]
    return " ".join(line.strip() for line in lines).strip() or _of_its_kind(error)


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "") or _of_its_kind(error)


def _of_its_kind(error: BaseException) -> str:
    """The sentence for an error without words."""
    if error.__cause__ is not None:
        key = getattr(error.__cause__, "full_key", None)
        return f"{key}: {_first_line(error.__cause__)}" if key else _first_line(error.__cause__)
    return f"the config cannot be composed: {type(error).__name__} {error}".rstrip()
