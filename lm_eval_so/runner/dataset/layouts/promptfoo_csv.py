"""promptfoo's CSV of tests: variables, and columns that begin with ``__``."""

import re
from typing import Any

from lm_eval_so.runner.dataset.cells import as_text, is_empty
from lm_eval_so.runner.dataset.layouts.base import Layout
from lm_eval_so.runner.dataset.layouts.draft import Draft

_EXPECTED = re.compile(r"__expected\d*")
_METADATA = "__metadata:"


def convert(draft: Draft) -> None:
    """Assertions become ``expected``, as they are written; the other columns are variables."""
    cells = draft.metadata
    wanted = [cells.pop(name) for name in list(cells) if _EXPECTED.fullmatch(name)]
    wanted = [cell for cell in wanted if not is_empty(cell)]
    draft.metadata = {_name(key): _value(key, cell) for key, cell in cells.items()}
    before, after = (draft.metadata.pop(name, None) or "" for name in ("prefix", "suffix"))
    if wanted:
        draft.expected = wanted if len(wanted) > 1 else wanted[0]
    if not is_empty(draft.input):
        draft.input = f"{before}{as_text(draft.input)}{after}"


def _name(key: str) -> str:
    if key.startswith(_METADATA):
        return key.removeprefix(_METADATA).removesuffix("[]")
    return key.removeprefix("__")


def _value(key: str, cell: Any) -> Any:  # noqa: ANN401 - what a cell holds
    if key.startswith(_METADATA) and key.endswith("[]") and isinstance(cell, str):
        return [part.strip() for part in cell.split(",")]
    return cell


LAYOUT = Layout({}, convert, guesses=True)
