"""Results of questions of `make_dataset`, for directories that are merged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.run_directories import answered, failed

if TYPE_CHECKING:
    from lm_eval_so.runner.models import RunResult


def ok(number: int, text: str = "yes", **changed: Any) -> RunResult:  # noqa: ANN401 - of a RunResult
    """An answer to ``question <number>`` of `make_dataset`."""
    question = [{"role": "user", "content": f"question {number}"}]
    return answered(f"s{number}", text, **{"request_messages": question, **changed})


def bad(number: int, **changed: Any) -> RunResult:  # noqa: ANN401 - of a RunResult
    """A failure of ``question <number>``."""
    question = [{"role": "user", "content": f"question {number}"}]
    return failed(f"s{number}", **{"request_messages": question, **changed})
