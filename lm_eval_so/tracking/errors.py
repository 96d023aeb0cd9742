"""MLflow's errors, and those of what is below it, in our words."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from lm_eval_so.runner.errors import TrackingError, TrackingUnreachableError
from lm_eval_so.tracking.address import shown

_LATER = {429, *range(500, 600)}
"""Statuses of HTTP."""
_CAUSE = re.compile(
    r"""\(Caused by \w+\((['"])(\w+\(.*?\): )?(Failed .*? connection: )?(?P<text>.*)\1"""
)
"""Where urllib3, after its whole chain of retries, says what the matter is."""


@contextmanager
def translated(uri: str) -> Iterator[None]:
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
        sentence = f"MLflow at {shown(uri)}: {_reason(error)}"
        if _may_pass(error):
            raise TrackingUnreachableError(sentence) from None  # 90 lines of retries say no more
        raise TrackingError(sentence) from error


def _may_pass(error: Exception) -> bool:
    """Whether the same call may succeed later.

    The wire is down, the server is unwell or asks to wait, or a database is locked, which MLflow
    calls TEMPORARILY_UNAVAILABLE. All else, down to a library that is not installed, is for good.
    """
    from mlflow.exceptions import MlflowException, RestException  # noqa: PLC0415 - seconds
    from requests import ConnectionError as Broken  # noqa: PLC0415 - comes with mlflow
    from requests import HTTPError, Timeout  # noqa: PLC0415 - as above

    match error:
        case HTTPError():
            return error.response is not None and error.response.status_code in _LATER
        case Broken() | Timeout() | ConnectionError() | TimeoutError():
            return True
        case RestException():
            return error.get_http_status_code() in _LATER  # type: ignore[no-untyped-call]
        case MlflowException():
            locked = error.error_code == "TEMPORARILY_UNAVAILABLE"
            return locked or str(error).startswith("API request to")
    return type(error).__name__ == "OperationalError"  # of sqlalchemy, on the way to a database


def _reason(error: Exception) -> str:
    text = shown(str(error)).strip() or type(error).__name__
    cause = _CAUSE.search(text)
    return (cause["text"] if cause else text.splitlines()[0]).rstrip(".")
