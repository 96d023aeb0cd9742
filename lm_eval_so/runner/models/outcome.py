"""What became of a request, before it is a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lm_eval_so.runner.errors import APITimeoutError, BackendError
from lm_eval_so.runner.models.result import RunError

if TYPE_CHECKING:
    from lm_eval_so.runner.models.response import ChatResponse


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request; exactly one of ``response`` and ``error`` is set."""

    response: ChatResponse | None = None
    error: RunError | None = None
    timed_out: bool = False

    @classmethod
    def of_error(cls, error: BackendError) -> Outcome:
        """The failure, as data."""
        data = RunError(
            error_type=error.error_type,
            message=error.message,
            status_code=error.status_code,
            retryable=error.retryable,
            details=error.details and {str(name): value for name, value in error.details.items()},
            served_by=error.served_by,
        )
        return cls(error=data, timed_out=isinstance(error, APITimeoutError))
