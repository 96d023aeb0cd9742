"""The SDK's exceptions to ours, in one table."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import TYPE_CHECKING, Any

from lm_eval_so.runner.backends.openai.completion import read_json
from lm_eval_so.runner.errors import (
    APIConnectionError,
    APITimeoutError,
    BackendError,
    EndpointUnreachableError,
    InvalidResponseError,
    QuotaExceededError,
    error_class,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


_LONGEST_BODY = 2000  # characters of a body that is no JSON
REQUEST_ID = "x-request-id"
_TOO_MANY_REQUESTS = 429
_QUOTA = "insufficient_quota"
_LEAKS = (json.JSONDecodeError, UnicodeDecodeError)  # of a body or a chunk that is garbage


def vendor_errors() -> tuple[type[Exception], ...]:
    """What the SDK and the wire below it raise, its leaks included."""
    import httpx2  # noqa: PLC0415 - loaded with the client
    import openai  # noqa: PLC0415 - loaded with the client

    return (openai.OpenAIError, httpx2.HTTPError, httpx2.StreamError, *_LEAKS)


def from_vendor(error: Exception) -> BackendError:
    """The error of ours that stands for one of `vendor_errors`."""
    import httpx2  # noqa: PLC0415 - loaded with the client
    import openai  # noqa: PLC0415 - loaded with the client

    match error:
        case openai.APIStatusError():
            return from_status(error.status_code, error.response.headers, error.response.content)
        case openai.APITimeoutError() | httpx2.TimeoutException():
            found: BackendError = APITimeoutError(_reason(error))
        case openai.APIConnectionError() | httpx2.TransportError():
            unreachable = isinstance(error.__cause__ or error, httpx2.ConnectError)
            kind = EndpointUnreachableError if unreachable else APIConnectionError
            found = kind(_reason(error))
        case openai.APIError(body=dict() as body):  # an error event within a stream
            found = _from_event(body, str(error))
        case (
            openai.APIError()
            | httpx2.DecodingError()
            | json.JSONDecodeError()
            | UnicodeDecodeError()
        ):
            found = InvalidResponseError(f"the answer is no completion: {error}", status_code=200)
        case httpx2.StreamError():
            found = APIConnectionError(_reason(error))
        case _:
            found = BackendError(f"{type(error).__name__}: {error}")
    return found


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds the server asked to wait: ``retry-after-ms``, else ``Retry-After`` of RFC 9110.

    A date is measured from ``now``; one that is past means 0. What cannot be read counts as absent.
    """
    milliseconds = _finite(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return max(0.0, milliseconds / 1000)
    value = headers.get("retry-after", "")
    seconds = _finite(value)
    if seconds is None:
        seconds = _seconds_until(value, now)
    return None if seconds is None else max(0.0, seconds)


def _finite(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None


def _seconds_until(date: str, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return None
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()


def from_status(status_code: int, headers: Mapping[str, str], body: bytes) -> BackendError:
    """The error of ours that stands for an answer that is no 2xx."""
    fields, text = _error_fields(body), body.decode(errors="replace")[:_LONGEST_BODY]
    kind = error_class(status_code)
    if status_code == _TOO_MANY_REQUESTS and _QUOTA in (fields.get("code"), fields.get("type")):
        kind = QuotaExceededError
    details = dict(fields) or ({"body": text} if text else {})
    if request_id := headers.get(REQUEST_ID):
        details["request_id"] = request_id
    message = fields.get("message") or fields.get("detail") or text or f"HTTP {status_code}"
    return kind(
        str(message),
        status_code=status_code,
        retry_after=retry_after(headers, datetime.now(UTC)),
        headers=headers,
        details=details or None,
    )


def _error_fields(body: bytes) -> dict[str, Any]:
    try:
        fields = read_json(body)
    except BackendError:
        return {}
    if isinstance(fields, dict):
        fields = fields.get("error", fields)
    return fields if isinstance(fields, dict) else {}


def _from_event(body: dict[str, Any], message: str) -> BackendError:
    code = body.get("code")
    kind = error_class(code) if isinstance(code, int) else InvalidResponseError
    return kind(message, status_code=code if isinstance(code, int) else None, details=body)


def _reason(error: Exception) -> str:
    """The SDK says no more than ``Connection error.``; what broke is in the cause."""
    cause = error.__cause__ or error
    return f"{type(cause).__name__}: {cause}" if str(cause) else type(cause).__name__
