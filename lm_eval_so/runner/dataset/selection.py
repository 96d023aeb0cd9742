"""Which samples of a dataset are asked; decided in the pass that checks it."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from lm_eval_so.runner.config.schema import SelectConfig
from lm_eval_so.runner.dataset.base import Reader
from lm_eval_so.runner.dataset.check import check
from lm_eval_so.runner.dataset.drawing import Draw
from lm_eval_so.runner.dataset.filters import filters_of
from lm_eval_so.runner.dataset.reader import Checked
from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.models import TestSample
from lm_eval_so.runner.text.one_line import one_line

_LONGEST = 200  # characters of a filter in an error


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The positions in the dataset that are asked, in one byte a sample.

    Attributes:
        of: Samples in the dataset.
        selected: Samples that are asked.
        chosen: By position 1 or 0; None if all are asked.
        note: What a person should know of it, in one sentence.
    """

    of: int
    selected: int
    chosen: bytes | None = field(default=None, repr=False)
    note: str | None = None

    def includes(self, position: int) -> bool:
        """Whether the sample at this position is asked."""
        return self.chosen is None or self.chosen[position] == 1

    @property
    def is_whole(self) -> bool:
        """Whether all samples are asked."""
        return self.selected == self.of

    @property
    def end(self) -> int:
        """The position behind the last sample that is asked."""
        return self.of if self.chosen is None else self.chosen.rfind(1) + 1

    @property
    def digest(self) -> str | None:
        """Tells it from other selections of as many samples, in hex; None if all are asked."""
        return None if self.chosen is None else hashlib.sha256(self.chosen).hexdigest()

    def part(self, first: int, count: int) -> "Selection":
        """What it selects of the positions [first, first + count), as a dataset of their own."""
        chosen = None if self.chosen is None else self.chosen[first : first + count]
        selected = count if chosen is None else chosen.count(1)
        return Selection(of=count, selected=selected, chosen=None if selected == count else chosen)


def select(
    reader: Reader,
    config: SelectConfig,
    examine: Callable[[TestSample], object] | None = None,
    check_all: Callable[[Reader], Checked] = check,
) -> tuple[Checked, Selection]:
    """Checks a dataset, and finds in the same pass which of its samples are asked.

    Args:
        reader: Reads the dataset.
        config: Which samples are wanted.
        examine: As for `check`.
        check_all: Checks the dataset where that is all there is to do.

    Raises:
        ConfigError: The selection cannot be made, or selects nothing.
        DatasetError: As `check`.
    """
    if config == SelectConfig():
        checked = check_all(reader) if examine is None else check(reader, examine)
        return checked, Selection(of=checked.count, selected=checked.count)
    selector = Selector(config)
    return check(reader, examine, selector.see), selector.selection()


class Selector:
    """Sees every sample of a dataset once, in order, and says then which are asked.

    Keeps one byte a sample, and 16 more of each that a random sample is drawn from.

    Raises:
        ConfigError: As `filters_of`.
    """

    def __init__(self, select: SelectConfig) -> None:
        self._select = select
        self._filters = list(filters_of(select))
        self._chosen = bytearray()
        self._kept = 0
        self._draw = None if select.sample is None else Draw(select.seed)

    def see(self, where: str, sample: TestSample) -> None:
        """Takes the next sample; ``where`` is its place, for errors.

        Raises:
            ConfigError: A filter cannot tell whether it keeps the sample.
        """
        is_kept = self._keeps(where, sample)
        if is_kept and self._draw is not None:
            by_tag = self._select.stratify == "tag"
            stratum = sample.tags[0] if by_tag and sample.tags else ""
            self._draw.add(len(self._chosen), sample.id, stratum)
        limit = self._select.limit
        is_chosen = is_kept and self._draw is None and (limit is None or self._kept < limit)
        self._kept += is_kept
        self._chosen.append(is_chosen)

    def selection(self) -> Selection:
        """What is selected of the samples that were seen.

        Raises:
            ConfigError: Nothing is, or a filter names something that no sample has.
        """
        for each in self._filters:
            each.check()
        of = len(self._chosen)
        if not self._kept:
            raise ConfigError(
                f"nothing is selected: none of the {of:,} samples is kept by "
                f"{', '.join(self._given())}"
            )
        for position in self._drawn():
            self._chosen[position] = 1
        selected = self._chosen.count(1)
        chosen = None if selected == of else bytes(self._chosen)
        return Selection(of=of, selected=selected, chosen=chosen, note=self._note())

    def _keeps(self, where: str, sample: TestSample) -> bool:
        try:
            return all(each.keeps(sample) for each in self._filters)
        except ValueError as error:
            raise ConfigError(f"select.where: {where}: {error}") from error

    def _drawn(self) -> Iterator[int]:
        if self._draw is not None and self._select.sample is not None:
            yield from self._draw.drawn(self._select.sample)

    def _note(self) -> str | None:
        for name in ("sample", "limit"):
            asked = getattr(self._select, name)
            if asked is not None and asked > self._kept:
                return f"select.{name}={asked}, but there are only {self._kept:,}: all are asked"
        return None

    def _given(self) -> list[str]:
        """The keys that filter, as they are typed."""
        filters = self._select.model_dump(mode="json", include={"ids", "tags", "where", "shard"})
        given = {key: value for key, value in filters.items() if value is not None}
        return [f"select.{key}={one_line(str(value), _LONGEST)}" for key, value in given.items()]
