"""Removes secrets from YAML that Hydra prints or saves."""

import re
from collections.abc import Callable, Iterator

from lm_eval_so.runner.masking.leaves import Place
from lm_eval_so.runner.masking.names import names_variable
from lm_eval_so.runner.masking.values import (
    MASK,
    is_no_variable,
    public_address,
    without_issued_keys,
)

_PAIR = re.compile(
    r"(?P<dash>(?:- )*)(?P<quote>['\"]?)(?P<name>[^\s:'\"#][^:'\"]*)(?P=quote):(?P<value>| .*)"
)
_ITEM = re.compile(r"- (?P<quote>['\"]?)(?P<override>[+~]{0,2}[\w.@/-]+=.*)(?P=quote)")
_PACKAGE = re.compile(r"# @package (?P<key>[\w.]+)")
_DIRECTORY = re.compile(r"override_dirname: (?P<quote>['\"]?)(?P<override>.+)(?P=quote)")
"""All overrides in one value, separated by commas."""
_NOTHING = {"null", "''", '""', "{}", "[]"}


def without_secrets(text: str, masked_override: Callable[[str], str]) -> str:
    """The text with ``***`` for each secret, line by line.

    The text may contain more than YAML, as that of ``--info`` does. A value may take several lines,
    which are found by their indentation.

    Args:
        text: Block YAML; a first line ``# @package a.b`` gives its place in the config.
        masked_override: Masks an override, which is an item of a list.
    """
    return "".join(_lines(text.splitlines(keepends=True), masked_override))


def _lines(lines: list[str], masked_override: Callable[[str], str]) -> Iterator[str]:
    around: list[tuple[int, str]] = []  # indentation and name of the mappings around a line
    hidden: int | None = None  # indentation of the pair whose other lines are left out
    for line in lines:
        bare = line.strip()
        indent = len(line) - len(line.lstrip(" "))
        if hidden is not None and _goes_on(bare, indent, hidden):
            continue
        hidden = None
        if package := _PACKAGE.match(bare):
            around = [(-1, package["key"].rpartition(".")[2])]
        found = _PAIR.fullmatch(bare)
        if found is None and around and _is_key_in_list(bare, around[-1][1]):
            yield f"{' ' * indent}- {MASK}\n"
            continue
        if found is None:
            yield _public(line, _ITEM.fullmatch(bare), masked_override)
            continue
        at = indent + len(found["dash"])
        around = [outer for outer in around if outer[0] < at]
        place = Place(found["name"].rpartition(".")[2], _mapping(found["name"], around))
        around.append((at, place.name))
        if _is_secret(found["value"].strip(), place):
            hidden = at
            yield f"{' ' * indent}{bare[: found.start('value')]} {MASK}\n"
        else:
            yield _public(line, _DIRECTORY.fullmatch(bare), masked_override)


def _goes_on(bare: str, indent: int, hidden: int) -> bool:
    """Whether a line belongs to the value of a pair with this indentation."""
    return not bare or indent > hidden or (indent == hidden and bare.startswith("- "))


def _public(line: str, found: re.Match[str] | None, masked_override: Callable[[str], str]) -> str:
    if found is not None:
        line = line.replace(found["override"], masked_override(found["override"]))
    return without_issued_keys(public_address(line))


def _mapping(name: str, around: list[tuple[int, str]]) -> str:
    """The name of the mapping that contains a pair; the pair may have a dotted key."""
    path = name.rpartition(".")[0]
    return path.rpartition(".")[2] if path else (around[-1][1] if around else "")


def _is_key_in_list(bare: str, name: str) -> bool:
    """Whether a line is an item that should name a variable, and is a key instead."""
    item = bare.removeprefix("- ")
    return names_variable(name) and item != bare and is_no_variable(item.strip("'\""))


def _is_secret(value: str, place: Place) -> bool:
    if value in _NOTHING or "${" in value:
        return False
    if place.is_secret:
        return True
    return names_variable(place.name) and value != "" and is_no_variable(value.strip("'\""))
