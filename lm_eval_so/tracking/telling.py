"""MLflow's errors, and those of what is below it, in our words."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from lm_eval_so.runner.errors import TrackingError, TrackingUnreachableError
from lm_eval_so.tracking.address import shown

_REFUSALS = range(400, 500)
_TOO_MANY_REQUESTS = 429
_CAUSE = re.compile(
    r"""\(Caused by \w+\((['"])(\w+\(.*?\): )?(Failed .*? connection: )?(?P<text>.*)\1"""
)
"""Where urllib3, after its whole chain of retries, says what the matter is."""


@contextmanager
def telling(uri: str) -> Iterator[None]:
    """Around calls to MLflow at an address.

    Raises:
        TrackingUnreachableError: The same call may succeed later.
        TrackingError: It would fail again.
    """
    try:
        yield
    except TrackingError:
        raise
    except Exception as error:
        kind = TrackingError if _refuses(error) else TrackingUnreachableError
        raise kind(f"MLflow at {shown(uri)}: {_reason(error)}") from error


def _refuses(error: Exception) -> bool:
    """Whether the same call would fail again."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - seconds, and seldom needed

    if isinstance(error, MlflowException):
        status = error.get_http_status_code()  # type: ignore[no-untyped-call]
    else:
        status = getattr(getattr(error, "response", None), "status_code", 0)
    return status in _REFUSALS and status != _TOO_MANY_REQUESTS


def _reason(error: Exception) -> str:
    text = shown(str(error)).strip() or type(error).__name__
    cause = _CAUSE.search(text)
    return (cause["text"] if cause else text.splitlines()[0]).rstrip(".")
