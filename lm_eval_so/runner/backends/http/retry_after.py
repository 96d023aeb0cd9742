"""Reads how long a server asks to wait: from ``Retry-After`` and its like, else from the body."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import TYPE_CHECKING

from lm_eval_so.runner.backends.http.numbers import any_number
from lm_eval_so.runner.text.once_per_kind import OncePerKind

if TYPE_CHECKING:
    from collections.abc import Mapping

_LOG = logging.getLogger(__name__)
_LOG.addFilter(OncePerKind())

LONGEST_WAIT = 365 * 86400.0
"""Seconds. Longer waits are cut to this: no run waits a year, and the sum with a date is a date."""

_SECOND, _MILLISECOND = 1.0, 0.001
_HEADERS = {
    "retry-after-ms": _MILLISECOND,  # OpenAI, Azure; read first, as the OpenAI SDK does
    "retry-after": _SECOND,  # RFC 9110, 10.2.3
    "llm_provider-retry-after-ms": _MILLISECOND,  # LiteLLM: what the provider behind it sent
    "llm_provider-retry-after": _SECOND,
}
_EPOCH, _EPOCH_MS = (1e9, 1e11), (1e12, 1e14)
"""Numbers that are no wait but a point in time: as a wait the smallest would be 31 years."""

_UNITS = {
    _MILLISECOND: ("ms", "msec", "msecs", "millisecond", "milliseconds"),
    _SECOND: ("s", "sec", "secs", "second", "seconds"),
    60.0: ("m", "min", "mins", "minute", "minutes"),
    3600.0: ("h", "hr", "hrs", "hour", "hours"),
    86400.0: ("d", "day", "days"),
}
_SECONDS_OF = {name: seconds for seconds, names in _UNITS.items() for name in names}
_NUMBER = r"(\d{1,20}(?:\.\d{1,20})?)"
_PART = _NUMBER + r"\s?(" + "|".join(sorted(_SECONDS_OF, key=len)[::-1]) + r")"
_PARTS = re.compile(rf"(?i){_PART}")

_RETRY_DELAY = re.compile(rf"retryDelay\W{{1,9}}{_NUMBER}s")
"""Gemini's google.rpc.RetryInfo, a Duration such as ``3.5s``; also in a gateway's message."""

_SENTENCE = re.compile(
    rf"(?i)(?:try again|retry|wait)(?:ing)?(?: in| after| for)?(?: about| at least)?\s"
    rf"((?:{_PART}(?![a-z])(?:,? and |, | )?){{1,5}})"
)
"""OpenAI and Groq: try again in 7m12s. Gemini: retry in 35.6s. Azure: retry after 20 seconds."""

_FIELD = re.compile(rf"retry_after\W{{1,9}}{_NUMBER}")
"""Seconds, as Replicate sends them."""

_RESETS_AT = re.compile(
    r"(?i)resets? at:? (\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)(?:\.\d+)?\s?(?:UTC|Z|\+00:00)"
)
"""LiteLLM, for its own limits by key: Limit resets at: 2026-07-12 08:05:00 UTC."""


def requested_wait(headers: Mapping[str, str], text: str, now: datetime) -> float | None:
    """Seconds to wait from ``now``, at least 0 and at most `LONGEST_WAIT`; None if nobody says.

    A header wins over the body's text. What is told as a point in time is measured from the time
    that the server itself tells, since its clock and ours can differ.
    """
    now = _date(headers.get("date", "")) or now
    seconds = retry_after(headers, now)
    return wait_in_text(text, now) if seconds is None else seconds


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds to wait by the headers: a number, a date, or a point in time since 1970.

    A date is measured from ``now``; one that is past means 0. What cannot be read counts as absent.
    """
    for name, unit in _HEADERS.items():
        value = headers.get(name)
        if not value:
            continue
        told = any_number(value)
        seconds = _seconds_until(value, now) if told is None else told * unit
        if seconds is not None and isfinite(seconds):
            return _sensible(seconds, now, name, value)
        _LOG.warning("the header %s is no time to wait, and is ignored: %.40r", name, value)
    return None


def wait_in_text(text: str, now: datetime) -> float | None:
    """Seconds to wait by the text of a body."""
    seconds = None
    if found := _RETRY_DELAY.search(text):
        seconds = float(found[1])
    elif found := _SENTENCE.search(text):
        parts = _PARTS.findall(found[1])
        seconds = sum(float(number) * _SECONDS_OF[unit.lower()] for number, unit in parts)
    elif found := _FIELD.search(text):
        seconds = float(found[1])
    elif found := _RESETS_AT.search(text):
        seconds = _until_reset(found[1], now)
    return None if seconds is None else _sensible(seconds, now, "body", text)


def _seconds_until(date: str, now: datetime) -> float | None:
    moment = _date(date)
    return None if moment is None else max(0.0, (moment - now).total_seconds())


def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _until_reset(date: str, now: datetime) -> float | None:
    try:
        moment = datetime.fromisoformat(date).replace(tzinfo=UTC)
    except ValueError:
        return None
    return max(0.0, (moment - now).total_seconds())


def _sensible(seconds: float, now: datetime, where: str, value: str) -> float:
    """The same within bounds; ``where`` and ``value`` are for the log."""
    if _EPOCH[0] <= seconds < _EPOCH[1]:
        return min(max(0.0, seconds - now.timestamp()), LONGEST_WAIT)
    if _EPOCH_MS[0] <= seconds < _EPOCH_MS[1]:
        return min(max(0.0, seconds / 1000 - now.timestamp()), LONGEST_WAIT)
    if seconds < 0:
        _LOG.warning("a wait of less than nothing counts as none (%s: %.40r)", where, value)
        return 0.0
    if seconds > LONGEST_WAIT:
        _LOG.warning("a wait of more than a year counts as a year (%s: %.40r)", where, value)
        return LONGEST_WAIT
    return seconds
