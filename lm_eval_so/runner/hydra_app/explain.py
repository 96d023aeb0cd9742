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

COMPOSITION_ERRORS = (HydraException, OmegaConfBaseException, yaml.YAMLError)
_EXTRAS = {
    "hydra/launcher/joblib": "joblib",
    "hydra/launcher/submitit_local": "submitit",
    "hydra/launcher/submitit_slurm": "submitit",
}
"""The extra of this package that brings each of Hydra's plugins."""
_SEVERAL = re.compile(r"(?:value for argument|Sweep parameters) '(?P<key>[^=]*)=(?P<values>.*)'")
_KEY = re.compile(r"[+~]{0,2}[A-Za-z_][\w./@-]*")
_DATASETS = "dataset/"


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
            return f"{mark.name}:{mark.line + 1}: not valid YAML: {error.problem}"
        case HydraException() | OmegaConfBaseException():
            return _of_a_key(error) or _first_lines(error)
        case OSError(filename=str() as path, strerror=str() as reason):
            return f"cannot read {path}: {reason}"
    return _first_lines(error)


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
    several = _SEVERAL.search(str(error))
    if several is None:
        return None
    key, values = several["key"], several["values"]
    return (
        f"{key}={values} has several values: -m runs each of them; for one list, type "
        f"'{key}=[{values}]', and for one text, '{key}=\"{values}\"'"
    )


def _first_lines(error: Exception) -> str:
    return " ".join(line.strip() for line in str(error).splitlines()[:2])


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
