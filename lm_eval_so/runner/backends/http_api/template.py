"""A tree of the config with ``{{ expressions }}``, which becomes a tree of values.

Nothing is ever pasted into JSON text: a leaf that is one expression becomes its value, whatever
type that has, and within text a value becomes text. What came from a sample is never read again, so
that braces in it mean nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from lm_eval_so.runner.backends.http_api.path import Path
from lm_eval_so.runner.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    Fill = Callable[[Mapping[str, Any]], Any]

_OPEN, _CLOSE = "{{", "}}"


class Template:
    """A tree of mappings, lists and leaves.

    Args:
        tree: As it stands in the config.
        names: What its expressions can begin with.
        key: Where it stands, for errors.

    Attributes:
        paths: Its expressions.

    Raises:
        ConfigError: An expression is wrong.
    """

    def __init__(self, tree: Any, names: Collection[str], key: str) -> None:  # noqa: ANN401 - JSON
        self._tree = tree
        self._names = names
        self.paths: list[Path] = []
        self._fill = self._compiled(tree, key)

    def __call__(self, values: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
        """The tree with the values in it.

        Raises:
            PathError: An expression does not take a value.
        """
        return self._tree if self._fill is None else self._fill(values)

    def _compiled(self, tree: Any, key: str) -> Fill | None:  # noqa: ANN401 - JSON
        """What fills a part of the tree; None where it is always the same."""
        if isinstance(tree, dict):
            return self._mapping(tree, key)
        if isinstance(tree, list):
            return self._list(tree, key)
        return self._text(tree, key) if isinstance(tree, str) and _OPEN in tree else None

    def _mapping(self, tree: dict[str, Any], key: str) -> Fill | None:
        for name in tree:
            if _OPEN in str(name):
                raise ConfigError(f"{key}: the key {name!r} cannot hold an expression; values can")
        fills = {name: self._compiled(item, f"{key}.{name}") for name, item in tree.items()}
        changing = {name: fill for name, fill in fills.items() if fill is not None}
        if not changing:
            return None
        return lambda values: {**tree, **{name: fill(values) for name, fill in changing.items()}}

    def _list(self, tree: list[Any], key: str) -> Fill | None:
        fills = [self._compiled(item, f"{key}[{at}]") for at, item in enumerate(tree)]
        if not any(fills):
            return None
        pairs = list(zip(tree, fills, strict=True))
        return lambda values: [item if fill is None else fill(values) for item, fill in pairs]

    def _text(self, text: str, key: str) -> Fill:
        compiled = Text(text, self._names, key)
        self.paths += compiled.paths
        return compiled.single or compiled


class Text:
    """Text with expressions in it.

    Args:
        source: As it stands in the config.
        names: What its expressions can begin with.
        key: Where it stands, for errors.

    Attributes:
        paths: Its expressions.
        single: The expression, if it is nothing else; white space around it does not count.

    Raises:
        ConfigError: An expression is wrong.
    """

    def __init__(self, source: str, names: Collection[str], key: str) -> None:
        self.source = source
        self._names = names
        self._key = key
        self._parts = [part for part in self._read(source) if part != ""]
        self.paths = [part for part in self._parts if isinstance(part, Path)]
        others = [part for part in self._parts if isinstance(part, str)]
        alone = len(self.paths) == 1 and not "".join(others).strip()
        self.single = self.paths[0] if alone else None

    def __call__(
        self, values: Mapping[str, Any], written: Callable[[Any], str] | None = None
    ) -> str:
        """The text with the values in it.

        Args:
            values: What the expressions look into.
            written: Makes text of what they find; None is `as_text`.

        Raises:
            PathError: An expression does not take a value.
        """
        written = written or as_text
        return "".join(
            written(part(values)) if isinstance(part, Path) else part for part in self._parts
        )

    def _read(self, rest: str) -> Iterator[str | Path]:
        while _OPEN in rest:
            before, _, rest = rest.partition(_OPEN)
            yield before
            path, rest = self._expression(rest)
            yield path
        yield rest

    def _expression(self, rest: str) -> tuple[Path, str]:
        """The expression that begins here, and the text behind it.

        It may hold ``}}`` itself (``{{ {a: {b: x}} }}``), so it ends where it can be read.
        """
        fault: ConfigError | None = None
        end = rest.find(_CLOSE)
        while end >= 0:
            try:
                path = Path(rest[:end].strip(), self._names, self._key)
            except ConfigError as error:
                fault = fault or error
                end = rest.find(_CLOSE, end + 1)
            else:
                return path, rest[end + len(_CLOSE) :]
        raise fault or ConfigError(f"{self._key}: '{{{{' without '}}}}' before {rest!r:.60}")


def as_text(value: Any) -> str:  # noqa: ANN401 - JSON
    """A value within text: text as it is, nothing for null, anything else as JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else orjson.dumps(value).decode()
