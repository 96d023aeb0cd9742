"""Errors of other clients as ours: a bot that asks a provider keeps retries, pauses and limits.

Known by their names and attributes, since nothing of theirs is imported.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from lm_eval_so.runner.backends.http.error_words import classify
from lm_eval_so.runner.backends.http.retry_after import requested_wait
from lm_eval_so.runner.errors import APIConnectionError, APITimeoutError, BackendError
from lm_eval_so.runner.text.exception_text import exception_text

_STATUSES = range(400, 600)
_TIMEOUTS = {
    "APITimeoutError",  # openai, anthropic
    "TimeoutException",  # httpx
    "Timeout",  # requests
}
_CONNECTIONS = {
    "APIConnectionError",  # openai, anthropic
    "TransportError",  # httpx
    "ClientConnectionError",  # aiohttp
    "URLError",  # urllib
}


def from_client(error: Exception) -> BackendError | None:
    """Our error for one of openai, anthropic, httpx, requests, aiohttp or urllib; else None."""
    message = exception_text(error)
    response = getattr(error, "response", None)
    status = next(filter(_is_status, _statuses(error, response)), None)
    if status is not None:
        headers = getattr(response, "headers", None) or getattr(error, "headers", None)
        return _refused(int(status), message, headers)
    names = {kind.__name__ for kind in type(error).__mro__}
    is_of_requests = type(error).__module__.partition(".")[0] == "requests"
    if names & _TIMEOUTS:
        return APITimeoutError(message)
    if names & _CONNECTIONS or (is_of_requests and "ConnectionError" in names):
        return APIConnectionError(message)
    return None


def _statuses(error: Exception, response: object) -> tuple[Any, ...]:
    return (
        getattr(error, "status_code", None),  # openai, anthropic
        getattr(response, "status_code", None),  # httpx, requests
        getattr(error, "status", None),  # aiohttp, urllib
    )


def _is_status(value: object) -> bool:
    return isinstance(value, int) and value in _STATUSES


def _refused(status: int, message: str, headers: Any) -> BackendError:  # noqa: ANN401 - a mapping of theirs
    reading = classify(status, message)
    told = {str(name).lower(): str(value) for name, value in dict(headers or {}).items()}
    return reading.kind(
        message,
        status_code=status,
        retryable=reading.retryable,
        retry_after=requested_wait(told, message, datetime.now(UTC)) if reading.retryable else None,
        headers=told,
        sample_fault=reading.sample_fault,
    )
