"""What the runs asked for together: the selection of the one that a merge makes of them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from lm_eval_so.runner.config.schema import SelectConfig
from lm_eval_so.runner.dataset.selection import Selector
from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.models import TestSample
from lm_eval_so.runner.store.run_metadata import RunMetadata

ANY_OF = "any_of"
_Asked = Mapping[str, Any]


class Together(NamedTuple):
    """The union of selections.

    Attributes:
        asked: For `SelectionRecord`: what all asked for, else what each did.
        chosen: By position 1 or 0; None if all samples are.
        open_ended: Whether a selection cannot be made again, such as one of a list of ids that is
            gone; then a sample that has a line counts as selected.
    """

    asked: dict[str, Any]
    chosen: bytes | None = None
    open_ended: bool = False

    def includes(self, position: int, *, has_line: bool) -> bool:
        """Whether the sample at this position was asked."""
        if self.chosen is not None and self.chosen[position]:
            return True
        return has_line if self.open_ended else self.chosen is None


def together(runs: Iterable[RunMetadata], samples: Iterable[TestSample]) -> Together:
    """What runs asked for together.

    Shards are parts of a whole: of ``shard=1/3`` and ``shard=2/3`` the whole was to be asked, and
    the third is missing. Where a shard was cut down further (``limit``, ``sample``) it counts as it
    is.

    Args:
        runs: Of one dataset.
        samples: All of it; read only where a filter has to be applied again.
    """
    asked: list[dict[str, Any]] = []
    for each in map(_whole, (one for run in runs for one in _asked(run))):
        if each not in asked:
            asked.append(each)
    if {} in asked:
        return Together({})
    selectors = [selector for each in asked if (selector := _selector(each)) is not None]
    for sample in samples if selectors else ():
        for selector in selectors:
            selector.see(repr(sample.id), sample)
    made = list(_made(selectors))
    chosen = bytes(map(max, *made)) if len(made) > 1 else next(iter(made), None)
    told = asked[0] if len(asked) == 1 else {ANY_OF: asked}
    return Together(told, chosen, open_ended=len(made) < len(asked))


def _asked(run: RunMetadata) -> Iterator[dict[str, Any]]:
    found = {} if run.selection is None else run.selection.asked
    yield from found.get(ANY_OF) or [found]


def _whole(asked: _Asked) -> dict[str, Any]:
    """Of a shard what all shards were to ask."""
    is_cut = "limit" in asked or "sample" in asked
    return {key: value for key, value in asked.items() if is_cut or key != "shard"}


def _selector(asked: _Asked) -> Selector | None:
    try:
        return Selector(SelectConfig.model_validate(asked))
    except (ValidationError, ConfigError):  # of many ids only the number is known
        return None


def _made(selectors: Iterable[Selector]) -> Iterator[bytes]:
    for selector in selectors:
        try:
            found = selector.selection()
        except ConfigError:  # a list of ids that is another one now
            continue
        yield bytes([1]) * found.of if found.chosen is None else found.chosen
