"""The columns that a config and the names in the header choose."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lm_eval_so.runner.config.messages import nearest
from lm_eval_so.runner.config.schema import DatasetConfig
from lm_eval_so.runner.dataset.layouts.registry import LAYOUTS
from lm_eval_so.runner.dataset.mapping.expression import Row, expression
from lm_eval_so.runner.dataset.mapping.guess import guess
from lm_eval_so.runner.errors import DatasetError
from lm_eval_so.runner.models import SAMPLE_PARAMETERS

FIELDS = ("id", "input", "system", "messages", "expected", "tags", "metadata")
_OPERATORS = re.compile(r"[{}\[\]()|~.+*/'\"]")
"""Without one of them, a text is meant as the name of a column."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where one part of a sample comes from.

    Attributes:
        label: For errors: ``column `question```.
        read: The value in a row.
        column: The name, if it is a column.
    """

    label: str
    read: Callable[[Row], Any]
    column: str | None = None


@dataclass(frozen=True, kw_only=True)
class Columns:
    """How rows with one header become samples.

    Attributes:
        sources: By field; those of `FIELDS` but the metadata.
        guessed: The columns found by their names, by field.
        parameters: Columns with the names of a sample's parameters, such as ``tools``.
        metadata: Columns that are kept.
        opened: Columns whose objects are kept key by key.
    """

    sources: Mapping[str, Source]
    guessed: Mapping[str, str]
    parameters: tuple[str, ...]
    metadata: tuple[str, ...]
    opened: frozenset[str]

    @property
    def has_question(self) -> bool:
        """Whether something is to be sent."""
        return "input" in self.sources or "messages" in self.sources

    def reads(self, field: str, name: str, header: Sequence[str]) -> bool:
        """Whether a field finds something in rows with this header.

        Args:
            field: Of `FIELDS`.
            name: What the config says of it.
            header: The columns.
        """
        if field == "metadata":
            return name in header
        source = self.sources.get(field)
        return source is not None and (source.column is None or source.column in header)


def columns_of(header: Sequence[str], config: DatasetConfig, *, fixed: bool) -> Columns:
    """Chooses the columns: those of the config, then those of the layout, then guesses.

    Args:
        header: The columns of a row.
        config: What the user says.
        fixed: Whether all rows have these columns, so that a name which is not there is wrong.

    Raises:
        DatasetError: A column does not exist, or a guess is ambiguous.
    """
    given = {
        field: text
        for field in FIELDS
        if isinstance(text := getattr(config.columns, field), str) and field != "metadata"
    }
    sources = {
        field: _source(field, text, header, fixed=fixed) for field, text in given.items() if text
    }
    taken = {text for text in given.values() if text in header}
    found = _usual(header, config, set(FIELDS) - set(given), taken)
    sources |= {field: _column(name) for field, name in found.items() if field != "metadata"}
    used = taken | {name for field, name in found.items() if field != "metadata"}
    parameters = tuple(name for name in SAMPLE_PARAMETERS if name in header and name not in used)
    rest = [name for name in header if name not in used and name not in parameters]
    if fixed:
        for name in kept_names(config):
            _check_name("metadata", name, header)
    kept, opened = _metadata(rest, config, found.get("metadata"))
    return Columns(
        sources=sources,
        guessed={} if config.layout else found,
        parameters=parameters,
        metadata=tuple(kept),
        opened=opened,
    )


def kept_names(config: DatasetConfig) -> list[str]:
    """The columns that the config names as metadata."""
    chosen = config.columns.metadata
    return [chosen] if isinstance(chosen, str) and chosen else list(chosen or ())


def _usual(
    header: Sequence[str], config: DatasetConfig, fields: set[str], taken: set[str]
) -> dict[str, str]:
    """The columns that the layout names, or that are guessed."""
    if config.layout is None:
        return guess(header, fields, taken)
    layout = LAYOUTS[config.layout]
    known = {field: name for field, name in layout.columns.items() if field in fields}
    found = {field: name for field, name in known.items() if name in header and name not in taken}
    if layout.guesses:
        found |= guess(header, fields - set(found), taken | set(found.values()))
    return found


def _metadata(
    rest: Sequence[str], config: DatasetConfig, guessed: str | None
) -> tuple[Sequence[str], frozenset[str]]:
    """The columns that are kept as metadata, and those whose objects are opened."""
    chosen = config.columns.metadata
    if isinstance(chosen, list):
        return [name for name in rest if name in chosen], frozenset()
    if chosen is not None:
        return [name for name in rest if name == chosen], frozenset({chosen})
    return rest, frozenset({guessed} if guessed else ())


def _source(field: str, text: str, header: Sequence[str], *, fixed: bool) -> Source:
    if text in header or not (fixed or _OPERATORS.search(text)):
        return _column(text)
    if not _OPERATORS.search(text):
        _check_name(field, text, header)
    key = f"dataset.columns.{field}"
    return Source(label=f"{key} {text!r}", read=expression(text, key))


def _check_name(field: str, name: str, header: Sequence[str]) -> None:
    if name not in header:
        shown = ", ".join(f"`{column}`" for column in header)
        raise DatasetError(
            f"dataset.columns.{field}: there is no column {name!r}{nearest(name, header)} "
            f"(columns: {shown})"
        )


def _column(name: str) -> Source:
    return Source(label=f"column `{name}`", read=lambda row: row.get(name), column=name)
