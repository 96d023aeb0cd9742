"""The first answers of a run, one line each, to see at once whether the run went well."""

from collections.abc import Iterable, Iterator
from itertools import islice

from rich.cells import cell_len, set_cell_size

from lm_eval_so.runner.models import RunResult
from lm_eval_so.runner.progress.units import cut

_SHOWN, _LOOKED_AT = 3, 100
_LONGEST_ID = 16  # characters
_GAP = "  "


def first_answers(results: Iterable[RunResult], width: int) -> Iterator[str]:
    """Sample id and first words, each line cut to ``width`` terminal cells."""
    found = [
        (cut(result.sample_id, _LONGEST_ID), result.response.text)
        for result in islice(results, _LOOKED_AT)
        if result.response is not None
    ][:_SHOWN]
    column = max((cell_len(name) for name, _ in found), default=0)
    for name, text in found:
        words = cut(text, width - column - len(_GAP)) or "(empty)"
        yield f"{set_cell_size(name, column)}{_GAP}{words}"
