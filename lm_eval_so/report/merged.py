"""The words, tags and metadata of several runs under one numbering."""

from array import array
from collections.abc import Sequence
from typing import NamedTuple

from lm_eval_so.report.result_columns import MOST_FINISH_REASONS
from lm_eval_so.report.run_index import RunIndex
from lm_eval_so.report.vocabulary import Field, TagSets, Words

_MOST_FIELDS = 20


class Merged:
    """One numbering for the columns of several runs.

    Each table has, by run, the new number of each of the run's own.

    Attributes:
        tags: All tags.
        fields: Fields of metadata that have few values in all the runs together, and their tables.
    """

    def __init__(self, indexes: Sequence[RunIndex]) -> None:
        own = [index.vocabulary for index in indexes]
        self.errors, self.error_table = _words([each.errors for each in own])
        self.finish_reasons, self.finish_table = _words(
            [each.finish_reasons for each in own], MOST_FINISH_REASONS
        )
        sets = TagSets()
        self.tagset_table = [[*map(sets.number, each.tagsets.sets)] for each in own]
        tags = Words(())
        self.tagsets = [[*map(tags.number, each)] for each in sets.sets]
        self.tags = tags.words
        self.fields = _fields(indexes)


class MergedField(NamedTuple):
    """A field of metadata, and by run the new number of each of its own values.

    A run's table is empty where it has no such field.
    """

    name: str
    field: Field
    table: list[list[int]]

    def codes_of(self, index: RunIndex, table: Sequence[int]) -> "array[int]":
        """The values of a run, line by line."""
        field = index.fields.fields.get(self.name)
        if field is None:
            return array("B", bytes(len(index)))
        return array("B", map(table.__getitem__, field.codes))


def _words(own: Sequence[Words], most: int = 1 << 16) -> tuple[list[str], list[list[int]]]:
    words = Words(most=most)
    table = [[*map(words.number, each.words)] for each in own]
    return words.words, table


def _fields(indexes: Sequence[RunIndex]) -> list[MergedField]:
    dropped = set().union(*(index.fields.dropped for index in indexes))
    names = dict.fromkeys(name for index in indexes for name in index.fields.fields)
    tried = (_field(name, indexes) for name in names if name not in dropped)
    return [field for field in tried if field is not None][:_MOST_FIELDS]


def _field(name: str, indexes: Sequence[RunIndex]) -> MergedField | None:
    field, table = Field(), []
    for index in indexes:
        own = index.fields.fields.get(name)
        numbers = [] if own is None else [*map(field.number, own.values)]
        known = [number for number in numbers if number is not None]
        if len(known) < len(numbers):
            return None
        table.append(known)
    return MergedField(name, field, table)
