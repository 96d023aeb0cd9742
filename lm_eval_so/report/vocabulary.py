"""Words, tags and metadata as numbers that fit into columns."""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Scalar = str | int | float | bool | None

MOST_VALUES = 100
_MOST_FIELDS = 40
_LONGEST_VALUE = 200  # characters of a value of a field
_OTHER = "(other)"


class Words:
    """Words by number; 0 is the empty word.

    Args:
        words: Those that are known, from 0.
        most: How many numbers there are. What comes beyond is one word, ``(other)``.
    """

    def __init__(self, words: Iterable[str] = ("",), most: int = 1 << 16) -> None:
        self.words = list(words)
        self._numbers = {word: number for number, word in enumerate(self.words)}
        self._most = most

    def number(self, word: str) -> int:
        """The number of a word."""
        known = self._numbers.get(word)
        if known is not None:
            return known
        if len(self.words) >= self._most - 1 and word != _OTHER:
            return self.number(_OTHER)
        self._numbers[word] = len(self.words)
        self.words.append(word)
        return self._numbers[word]


class TagSets:
    """Lists of tags by number; 0 is the empty list.

    Args:
        sets: Those that are known, from 0.
    """

    def __init__(self, sets: Iterable[Sequence[str]] = ((),)) -> None:
        self.sets = [tuple(tags) for tags in sets]
        self._numbers = {tags: number for number, tags in enumerate(self.sets)}

    def number(self, tags: Sequence[str]) -> int:
        """The number of a list of tags."""
        key = tuple(tags)
        known = self._numbers.get(key)
        if known is not None:
            return known
        self._numbers[key] = len(self.sets)
        self.sets.append(key)
        return self._numbers[key]


class Field:
    """The values of one field of metadata by number; 0 is null, also where there is no such field.

    Args:
        values: Those that are known, from 0.
        codes: A number for each line.
    """

    def __init__(
        self, values: Iterable[Scalar] = (None,), codes: "array[int] | None" = None
    ) -> None:
        self.values: list[Scalar] = list(values)
        self.codes = array("B") if codes is None else codes
        self._numbers: dict[tuple[type, Scalar], int] = {
            (type(value), value): code for code, value in enumerate(self.values)
        }

    def number(self, value: object) -> int | None:
        """The number of a value; None if it is no scalar, too long, or one too many."""
        if value is not None and not isinstance(value, str | int | float):
            return None  # a list, or an object
        known = self._numbers.get((type(value), value))
        if known is not None:
            return known
        is_long = isinstance(value, str) and len(value) > _LONGEST_VALUE
        if is_long or len(self.values) > MOST_VALUES:
            return None
        self._numbers[type(value), value] = len(self.values)
        self.values.append(value)
        return len(self.values) - 1


class Fields:
    """Fields of metadata that have few different values, one column each; the first 40 are tried.

    Args:
        fields: Those that are known, by name.
        dropped: Names of those that have more than scalars, or too many values.
    """

    def __init__(
        self, fields: Mapping[str, Field] | None = None, dropped: Iterable[str] = ()
    ) -> None:
        self.fields = dict(fields or {})
        self.dropped = set(dropped)

    def add(self, metadata: Mapping[str, Any], lines: int) -> None:
        """Adds the metadata of a line.

        Args:
            metadata: Of its sample.
            lines: How many lines came before it.
        """
        for name, value in metadata.items():
            if name in self.dropped:
                continue
            field = self.fields.get(name)
            if field is None:
                if len(self.fields) + len(self.dropped) >= _MOST_FIELDS:
                    continue
                field = self.fields[name] = Field()
            number = field.number(value)
            if number is None:
                self.dropped.add(name)
                del self.fields[name]
                continue
            codes = field.codes
            if len(codes) < lines:
                codes.frombytes(bytes(lines - len(codes)))
            codes.append(number)

    def level(self, lines: int) -> None:
        """Gives every field a number for each line."""
        for field in self.fields.values():
            field.codes.frombytes(bytes(lines - len(field.codes)))
