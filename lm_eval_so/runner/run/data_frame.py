"""Results as a pandas DataFrame."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from lm_eval_so.runner.errors import LmEvalError
from lm_eval_so.runner.models import RunResult
from lm_eval_so.runner.summary.result_row import COLUMNS, row_of

if TYPE_CHECKING:
    from pandas import DataFrame


def data_frame(results: Iterable[RunResult]) -> "DataFrame":
    """One row per result, failed ones included, with the same columns for every run.

    Raises:
        LmEvalError: There is no pandas.
    """
    try:
        from pandas import DataFrame  # noqa: PLC0415 - slow to import, and no dependency
    except ImportError as error:
        raise LmEvalError("to_pandas needs pandas: pip install pandas") from error
    rows = [row_of(result) for result in results]
    return DataFrame(rows, columns=list(COLUMNS), dtype=object).astype(COLUMNS)
