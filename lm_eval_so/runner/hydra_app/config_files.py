"""What is wrong with a config file, where the error of Hydra does not name the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml
from omegaconf._utils import get_yaml_loader

from lm_eval_so.runner.dataset.hints import not_utf_8
from lm_eval_so.runner.text.one_line import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_LONGEST_VALUE = 80  # characters
_NESTED = "holds itself, or is nested too deep"


def file_fault(folders: Iterable[Path]) -> str | None:
    """The sentence for the first config file in these folders that can be none."""
    for folder in folders:
        for path in sorted(folder.rglob("*.yaml")):
            try:
                fault = _fault(path.read_bytes())
            except RecursionError:
                fault = _NESTED
            except OSError as error:
                fault = f"cannot be read: {error.strerror}"
            if fault is not None:
                return f"{path}: {fault}"
    return None


def _fault(text: bytes) -> str | None:
    if sentence := not_utf_8(text):
        return f"{sentence}; save it as UTF-8"
    try:
        content = yaml.load(text, Loader=get_yaml_loader())  # noqa: S506 - a safe loader
    except yaml.YAMLError:
        return None  # told with its line
    if content is None or isinstance(content, dict | str):
        return _value_fault(content, "")
    shown = one_line(repr(content), _LONGEST_VALUE)
    return f"a config file must be a mapping, got {shown}"


def _value_fault(value: object, key: str) -> str | None:
    if isinstance(value, set):
        return f"{key} is a set, which is no value of a config; make it a list: [a, b]"
    if isinstance(value, dict) and None in value:
        return f"a key{key and f' of {key}'} is null (~); put it in quotes if it is a name"
    faults = (_value_fault(item, f"{key}.{name}".strip(".")) for name, item in _items(value))
    return next(filter(None, faults), None)


def _items(value: object) -> Iterable[tuple[object, object]]:
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, list) else ()
