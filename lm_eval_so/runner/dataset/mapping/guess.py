"""Which column holds what, by its name."""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from lm_eval_so.runner.errors import DatasetError

_NAMES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "id": frozenset({"id", "번호"}),
        "input": frozenset(
            {"question", "input", "prompt", "query", "instruction", "user", "질문", "입력", "문제"}
        ),
        "system": frozenset({"system", "시스템"}),
        "messages": frozenset({"messages"}),
        "expected": frozenset(
            {"answer", "expected", "target", "ideal", "output", "label", "reference"}
            | {"정답", "답변"}
        ),
        "tags": frozenset({"tags", "tag", "category", "분류"}),
        "metadata": frozenset({"metadata"}),
    }
)
"""In lower case."""
_ALPACA = {"instruction", "input", "output"}


def guess(
    columns: Sequence[str], fields: Collection[str], taken: Collection[str]
) -> dict[str, str]:
    """The column of each field that one has the name of.

    Args:
        columns: All columns.
        fields: Those to find a column for.
        taken: Columns that are used already.

    Raises:
        DatasetError: Two columns may be meant; names both, and what to type.
    """
    found: dict[str, str] = {}
    wanted = [field for field in _NAMES if field in fields]
    if "messages" in columns and "messages" in wanted:
        wanted = [field for field in wanted if field != "input"]
    for field in wanted:
        alike = [name for name in columns if name not in taken and _folded(name) in _NAMES[field]]
        if len(alike) > 1:
            raise DatasetError(_ambiguous(field, alike, columns))
        if alike:
            found[field] = alike[0]
    return found


def _folded(name: str) -> str:
    return name.strip().casefold()


def _ambiguous(field: str, alike: Sequence[str], columns: Sequence[str]) -> str:
    both = " and ".join(f"`{name}`" for name in alike)
    sentence = f"{both} may both be the {field}; type dataset.columns.{field}={alike[0]}"
    if field == "input" and set(columns) >= _ALPACA:
        return f"{sentence}, or dataset.layout=alpaca if this is an Alpaca file"
    return sentence
