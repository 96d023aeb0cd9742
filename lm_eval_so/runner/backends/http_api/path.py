"""JMESPath expressions of the config: checked and compiled once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jmespath
from jmespath.exceptions import JMESPathError

from lm_eval_so.runner.config.messages import nearest
from lm_eval_so.runner.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

_INNER = {
    "subexpression",
    "index_expression",
    "pipe",
    "projection",
    "value_projection",
    "filter_projection",
    "flatten",
}
"""Nodes whose first child alone looks into what is given; the others look into what that found."""

_LITERALS = {"null", "true", "false"}

Node = dict[str, Any]


class PathError(ValueError):
    """A function of an expression does not take what it was given."""


class Path:
    """One expression.

    Plain ones (``body.choices[0].text``) are walked, which takes a tenth of the interpreter's time.

    Args:
        expression: JMESPath.
        names: What it can begin with.
        key: Where it stands in the config, for errors.

    Attributes:
        begins_with: The names it looks into.
        steps: The fields and places that it walks along; None where it is not plain.

    Raises:
        ConfigError: It cannot be read, or begins with another name.
    """

    def __init__(self, expression: str, names: Collection[str], key: str) -> None:
        self.expression = expression
        self.key = key
        try:
            self._compiled = jmespath.compile(expression)
        except JMESPathError as error:
            reason = " ".join(str(error).split("\n", maxsplit=1)[0].split())
            raise ConfigError(
                f"{key}: {expression!r} is no JMESPath expression: {reason}"
            ) from error
        tree: Node = self._compiled.parsed
        self.begins_with = frozenset(_roots(tree))
        for name in sorted(self.begins_with - set(names)):
            known = ", ".join(sorted(names))
            raise ConfigError(
                f"{key}: {expression!r} begins with {name!r}{_hint(name, names)} (known: {known})"
            )
        self.steps = _steps(tree)
        self._tree = tree

    def __call__(self, values: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
        """What it finds in the values; None where there is nothing.

        Raises:
            PathError: A function does not take what it was given.
        """
        if self.steps is not None:
            found: Any = values
            for step in self.steps:
                found = step_into(found, step)
                if found is None:
                    return None
            return found
        try:
            return self._compiled.search(values)
        except (JMESPathError, TypeError, ValueError, OverflowError, RecursionError) as error:
            raise PathError(f"{self.key} ({self.expression}): {error}") from error

    def fields_of(self, name: str) -> set[str] | None:
        """The fields of ``name`` that it looks into; None where it takes the whole."""
        found = set(_fields_of(self._tree, name))
        return None if None in found else {field for field in found if field is not None}


def _hint(name: str, names: Collection[str]) -> str:
    """``reply`` was meant as ``body.reply``; a variable is likelier mistyped."""
    if name in _LITERALS:
        return f"; JMESPath writes it in backticks: `{name}`"
    return f"; did you mean 'body.{name}'?" if "body" in names else nearest(name, names)


def step_into(value: Any, step: str | int) -> Any:  # noqa: ANN401 - any JSON value
    """A field of an object, or an item of a list; None where there is none."""
    if isinstance(step, str):
        return value.get(step) if isinstance(value, dict) else None
    if not isinstance(value, list) or not -len(value) <= step < len(value):
        return None
    return value[step]


def _steps(node: Node) -> list[str | int] | None:
    match node["type"]:
        case "field" | "index":
            return [node["value"]]
        case "subexpression" | "index_expression":
            steps: list[str | int] = []
            for child in node["children"]:
                more = _steps(child)
                if more is None:
                    return None
                steps += more
            return steps
    return None


def _roots(node: Node) -> Iterator[str]:
    """The names that an expression looks up in what it is given."""
    kind, children = node["type"], node["children"]
    if kind == "field":
        yield node["value"]
    elif kind in {"current", "identity"}:
        yield "@"
    elif kind in _INNER:
        yield from _roots(children[0])
    elif kind != "expref":  # of sort_by and its like: looks into each item
        for child in children:
            yield from _roots(child)


def _fields_of(node: Node, name: str) -> Iterator[str | None]:
    kind, children = node["type"], node["children"]
    if kind == "field":
        if node["value"] == name:
            yield None
        return
    if kind == "subexpression" and children[0].get("value") == name:
        yield _leftmost(children[1])
        return
    for child in children[:1] if kind in _INNER else children:
        yield from _fields_of(child, name)


def _leftmost(node: Node) -> str | None:
    while node["type"] != "field":
        if node["type"] not in _INNER:
            return None
        node = node["children"][0]
    return str(node["value"])
