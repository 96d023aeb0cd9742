"""Filters of samples, one for each key of ``select``: by id, tag, shard and expression."""

import hashlib
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from lm_eval_so.runner.config.schema import SelectConfig
from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.hash_index import HashIndex
from lm_eval_so.runner.models import TestSample
from lm_eval_so.runner.text.sandbox import repeatable
from lm_eval_so.runner.text.wording import nearest

if TYPE_CHECKING:
    from jinja2 import Environment

_MOST_NAMED = 5  # ids in an error
_FOUND = 1


class Filter(Protocol):
    """Sees all samples of a dataset, one after the other."""

    def keeps(self, sample: TestSample) -> bool:
        """Whether the sample is selected.

        Raises:
            ValueError: It cannot be told, in one sentence.
        """

    def check(self) -> None:
        """Called after the last sample.

        Raises:
            ConfigError: The filter names something that no sample has.
        """


def filters_of(select: SelectConfig) -> Iterator[Filter]:
    """The filters that are configured, in the order in which a sample passes them.

    The ids see all samples. The shard comes last, so that what is an error is one in every shard.

    Raises:
        ConfigError: The file of ids cannot be read, or the expression is not valid.
    """
    if select.ids is not None:
        yield IdFilter(select.ids)
    if select.tags is not None:
        yield TagFilter(select.tags)
    if select.where is not None:
        yield ExpressionFilter(select.where)
    if select.part is not None:
        yield ShardFilter(*select.part)


class IdFilter:
    """Keeps the samples with these ids; takes some 25 bytes an id.

    Args:
        ids: The ids, or the path of a file with one on each line.
    """

    def __init__(self, ids: list[str] | Path) -> None:
        self._ids = ids
        self._wanted = HashIndex()
        for wanted in self._read():
            self._wanted[wanted] = 0

    def keeps(self, sample: TestSample) -> bool:
        entry = self._wanted.find(sample.id)
        if entry is None:
            return False
        self._wanted.change(entry, _FOUND)
        return True

    def check(self) -> None:
        missing = sum(found != _FOUND for found in self._wanted.values())
        if missing:
            lost = (name for name in self._read() if self._wanted.get(name) != _FOUND)
            named = ", ".join(map(repr, islice(dict.fromkeys(lost), _MOST_NAMED)))
            more = ", ..." if missing > _MOST_NAMED else ""
            raise ConfigError(
                f"select.ids: {missing:,} of {len(self._wanted):,} ids are not in the dataset: "
                f"{named}{more}"
            )

    def _read(self) -> Iterator[str]:
        if isinstance(self._ids, list):
            yield from self._ids
            return
        try:
            with self._ids.open(encoding="utf-8-sig") as lines:
                yield from filter(None, map(str.strip, lines))
        except FileNotFoundError as error:
            raise ConfigError(
                f"select.ids: there is no file {self._ids} with one id on each line; for ids "
                f"themselves, type select.ids=[{self._ids}]"
            ) from error
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise ConfigError(f"select.ids: {self._ids} cannot be read: {reason}") from error


class TagFilter:
    """Keeps the samples that have one of the tags."""

    def __init__(self, tags: list[str]) -> None:
        self._tags = frozenset(tags)

    def keeps(self, sample: TestSample) -> bool:
        return not self._tags.isdisjoint(sample.tags)

    def check(self) -> None:
        """One of several tags may be in another dataset only."""


class ShardFilter:
    """Keeps one of ``count`` shards, by a hash of the id: a new sample moves no other one.

    Args:
        number: From 1.
        count: Shards.
    """

    def __init__(self, number: int, count: int) -> None:
        self._number, self._count = number, count

    def keeps(self, sample: TestSample) -> bool:
        digest = hashlib.sha256(f"shard {sample.id}".encode()).digest()
        return int.from_bytes(digest[:8]) % self._count == self._number - 1

    def check(self) -> None:
        """Each shard stands for itself."""


class ExpressionFilter:
    """Keeps the samples for which a Jinja expression over their keys is true.

    A key that a sample does not have equals nothing, and no comparison with it is true.

    Raises:
        ConfigError: The expression is not valid.
    """

    def __init__(self, expression: str) -> None:
        from jinja2 import TemplateError, meta  # noqa: PLC0415 - only where there is an expression

        environment = _environment()
        try:
            self._holds = environment.compile_expression(expression)
            names = meta.find_undeclared_variables(environment.parse(f"{{{{{expression}}}}}"))
        except TemplateError as error:
            raise ConfigError(
                f"select.where is not a valid expression: {error}; got {expression!r}; an example: "
                "metadata.language == 'ko' and 'refund' in tags"
            ) from error
        self._fields = names & TestSample.model_fields.keys()
        self._extra = names - self._fields - environment.globals.keys()
        self._unknown = set(self._extra)  # that no sample has had so far

    def keeps(self, sample: TestSample) -> bool:
        extra = sample.model_extra or {}
        values = {name: getattr(sample, name) for name in self._fields}
        values |= {name: extra[name] for name in self._extra if name in extra}
        self._unknown -= values.keys()
        try:
            return bool(self._holds(values))
        except Exception as error:  # the expression's, which can raise anything
            raise ValueError(str(error) or type(error).__name__) from error

    def check(self) -> None:
        if self._unknown:
            name = min(self._unknown)
            hint = nearest(name, TestSample.model_fields) or f"; for a text, write '{name}'"
            raise ConfigError(f"select.where: no sample has the key {name!r}{hint}")


def _environment() -> "Environment":
    from jinja2 import ChainableUndefined  # noqa: PLC0415 - see above
    from jinja2.exceptions import SecurityError  # noqa: PLC0415 - as above
    from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: PLC0415 - as above

    class Absent(ChainableUndefined):
        """A key that the sample does not have."""

        __slots__ = ()

        def _never(self, _: object) -> bool:
            return False

        __lt__ = __le__ = __gt__ = __ge__ = _never  # type: ignore[assignment]

    class OfKeys(ImmutableSandboxedEnvironment):
        """``metadata.items`` is the key ``items``, never the method; only ``get`` can be called."""

        def getattr(self, obj: Any, attribute: str) -> Any:  # noqa: ANN401 - any value of a sample
            if isinstance(obj, Mapping) and (attribute in obj or attribute != "get"):
                found = attribute in obj
                return obj[attribute] if found else self.undefined(obj=obj, name=attribute)
            return super().getattr(obj, attribute)

        def unsafe_undefined(self, obj: Any, attribute: str) -> NoReturn:  # noqa: ANN401 - as above
            raise SecurityError(f"{attribute} of a {type(obj).__name__} cannot be read here")

    return repeatable(OfKeys(undefined=Absent))
