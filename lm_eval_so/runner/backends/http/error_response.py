"""Turns an answer that is no 2xx, or an error that came with a 200, into an error of ours."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from lm_eval_so.runner.backends.http.error_body import ErrorBody, error_in_json, read_error_body
from lm_eval_so.runner.backends.http.error_codes import status_by_code
from lm_eval_so.runner.backends.http.error_sentence import sentence_in
from lm_eval_so.runner.backends.http.error_words import classify, status_by_words
from lm_eval_so.runner.backends.http.header import header_text, request_id
from lm_eval_so.runner.backends.http.redirect import REDIRECTS, redirected
from lm_eval_so.runner.backends.http.retry_after import requested_wait
from lm_eval_so.runner.errors import BackendError, InvalidResponseError, ProxyAuthenticationError
from lm_eval_so.runner.text.sanitise import sanitise_json, sanitise_text

if TYPE_CHECKING:
    from collections.abc import Mapping

_OK = 200
_LONGEST_SHOWN = 2000  # characters of an object without a sentence
_NO_WORDS = "the server told an error without words"
_SHOULD_RETRY = {"true": True, "false": False}
"""What OpenAI and others say in ``x-should-retry``; their SDKs heed it before the status."""


def from_status(status_code: int, headers: Mapping[str, str], body: bytes) -> BackendError:
    """The error of ours for an answer that is no 2xx."""
    said = read_error_body(body)
    details = said.details
    if told := request_id(headers):
        details["request_id"] = told
    return _refused(status_code, said, headers, details)


def from_proxy(status_code: int, reason: str) -> BackendError:
    """The error of ours for a proxy that does not open a way to the server."""
    reason = header_text(reason)
    said = ErrorBody(f"the proxy answered {status_code} ({reason}) to CONNECT", {}, reason)
    return _refused(status_code, said, {}, {})


def from_error_object(fields: dict[str, Any], otherwise: str = "") -> BackendError:
    """The error of ours for an error that came with a 200, in the body or within a stream.

    Args:
        fields: The object that describes it.
        otherwise: The message where it has no sentence.
    """
    fields = sanitise_json(fields)
    text = orjson.dumps(fields).decode()
    said = ErrorBody(error_in_json(fields).message, fields, text)
    status_code = _status_told(said)
    shown = text[:_LONGEST_SHOWN] if any(fields.values()) else _NO_WORDS
    message = said.message or sentence_in(sanitise_text(otherwise)) or shown
    if status_code is None:
        return InvalidResponseError(message, status_code=_OK, details=fields)
    return _refused(status_code, said._replace(message=message), {}, fields)


def _status_told(said: ErrorBody) -> int | None:
    """The status that an error without one stands for; None where it tells none."""
    by_code = status_by_code(said.fields)
    return status_by_words(said.words) if by_code is None else by_code


def without_an_answer(
    fault: InvalidResponseError, body: object, stray: bytes = b""
) -> BackendError:
    """What to raise for a 200 without an answer: the server's words, where it has some.

    Args:
        fault: What is raised where it has none.
        body: What came in the place of an answer, as JSON data.
        stray: A line that stands between the events of a stream; it is looked at first.
    """
    said = read_error_body(stray) if stray else error_in_json(body)
    told = said.fields.get("message")
    if not said.message or (isinstance(told, dict) and "content" in told):  # of another API
        return fault
    if _status_told(said) is not None:
        return from_error_object(said.fields, said.message)
    return InvalidResponseError(
        f"{fault.message}, but: {sanitise_text(said.message)}",
        status_code=_OK,
        details=fault.details or sanitise_json(said.fields) or None,
    )


def _refused(
    status_code: int, said: ErrorBody, headers: Mapping[str, str], details: dict[str, Any]
) -> BackendError:
    reading = classify(status_code, said.words)
    message = said.message or f"HTTP {status_code}"
    if status_code in REDIRECTS:
        message = redirected(status_code, headers)
    if reading.kind is ProxyAuthenticationError:
        message = f"the proxy asks for a user name and a password: {message}"
    told = headers.get("x-should-retry", "").strip().lower()
    retryable = _SHOULD_RETRY.get(told, reading.retryable)
    asked = requested_wait(headers, said.text, datetime.now(UTC)) if retryable else None
    return reading.kind(
        message,
        status_code=status_code,
        retryable=retryable,
        retry_after=asked,
        headers=headers,
        details=details or None,
        sample_fault=reading.sample_fault,
    )
