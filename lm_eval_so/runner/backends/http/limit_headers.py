"""Reads a provider's limits from the headers of its answers."""

import logging
import re
from collections.abc import Iterator, Mapping
from math import isfinite, isnan
from typing import NamedTuple

from lm_eval_so.runner.backends.http.numbers import any_number
from lm_eval_so.runner.text.once_per_kind import OncePerKind

_LOG = logging.getLogger(__name__)
_LOG.addFilter(OncePerKind())

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d{1,20}(?:\.\d{1,20})?)(ms|s|m|h|d)")
_WINDOW = re.compile(r";\s*w=(\d+)")
_MINUTE, _HOUR = 60.0, 3600.0
_LONGEST_WINDOW = 31 * 86400.0  # seconds; quotas by the month are the longest that are sold
_WINDOWS = {
    "second": 1.0,
    "minute": _MINUTE,
    "hour": _HOUR,
    "day": 86400.0,
    "month": _LONGEST_WINDOW,
}
"""Those that Kong names, in seconds. Of several the shortest sets the pace: whoever keeps a longer
one alone is refused every second; who keeps the shortest alone is refused once, and told how long.
"""
_POINT_IN_TIME = 1e9  # seconds; from here on a reset is a time of day, and clocks differ
_HIGHEST = 1e19  # some send the largest 64-bit integer where there is no limit

_SLOWEST = {"requests": 1 / _HOUR, "tokens": 1000 / _HOUR}
"""The lowest rate, in units a second, that is learned from a header: one question an hour.

The smallest free tiers give some 25 questions a day. A lower rate comes from a header that was read
wrongly, or makes a run impossible; the provider's 429 then says how long to wait.
"""

_LITELLM = "llm_provider-"
"""LiteLLM puts this before the names of what the provider behind it sent."""


class HeaderLimit(NamedTuple):
    """A limit that the headers of one answer give.

    Attributes:
        per_second: How fast the allowance comes back.
        remaining: Units left when the answer was made.
    """

    per_second: float
    remaining: float


class _Names(NamedTuple):
    limit: str
    remaining: str
    reset: str
    policy: str
    window: float | None
    """In seconds, where the names tell it."""

    @classmethod
    def of(cls, form: str, window: float | None = None) -> "_Names":
        """The names of a form, in which ``{}`` stands for ``limit``, ``remaining``, ..."""
        limit, remaining, reset, policy = (form.format(field) for field in cls._fields[:-1])
        return cls(limit, remaining, reset, policy, window)


def _forms(unit: str) -> list[_Names]:
    forms = [
        f"x-ratelimit-{{}}-{unit}",  # OpenAI, Groq, Azure, ...
        f"x-ratelimit-api_key-{{}}-{unit}",  # LiteLLM's own limits, by its key
        f"x-ratelimit-model_per_key-{{}}-{unit}",
        f"{_LITELLM}x-ratelimit-{{}}-{unit}",
        f"anthropic-ratelimit-{unit}-{{}}",
        f"{_LITELLM}anthropic-ratelimit-{unit}-{{}}",
    ]
    found = [_Names.of(form) for form in forms]
    if unit == "requests":  # as gateways and draft-ietf-httpapi-ratelimit-headers count
        found += [_Names.of(f"x-ratelimit-{{}}-{name}", in_s) for name, in_s in _WINDOWS.items()]
        found += [_Names.of("x-ratelimit-{}"), _Names.of("ratelimit-{}")]
    return found


_FORMS = {unit: _forms(unit) for unit in _SLOWEST}
"""By unit, the most trusted first."""


class PooledHeaders(Mapping[str, str]):
    """The headers of one answer, with what holds for all replicas of a pool.

    Args:
        headers: Of the answer.
        limits: Of all replicas together, by unit.
        wait: Seconds until one of them takes requests; None leaves what the headers say.
    """

    def __init__(
        self,
        headers: Mapping[str, str],
        limits: Mapping[str, HeaderLimit],
        wait: float | None = None,
    ) -> None:
        self._headers = headers
        self._own = {} if wait is None else {"retry-after-ms": f"{wait * 1000:.0f}"}
        self.limits = limits

    def __getitem__(self, name: str) -> str:
        return self._own[name] if name in self._own else self._headers[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**self._headers, **self._own})

    def __len__(self) -> int:
        return len({**self._headers, **self._own})


def read_limits(headers: Mapping[str, str]) -> Mapping[str, HeaderLimit]:
    """The limits on ``requests`` and ``tokens``, as far as the headers give them.

    A value that makes no sense is logged once and counts as absent.
    """
    if isinstance(headers, PooledHeaders):
        return headers.limits
    found = {}
    for unit, forms in _FORMS.items():
        for names in forms:
            if names.remaining in headers and (limit := _limit(headers, names, unit)):
                found[unit] = limit
                break
    return found


def _limit(headers: Mapping[str, str], names: _Names, unit: str) -> HeaderLimit | None:
    limit_text = headers.get(names.limit, "")
    limit = any_number(limit_text.partition(",")[0].partition(";")[0])
    remaining = any_number(headers[names.remaining])
    if limit is None or remaining is None:
        return None
    if not 1 <= limit < _HIGHEST or isnan(remaining):
        _LOG.warning("a limit that makes no sense is ignored (%s: %.40r)", names.limit, limit_text)
        return None
    remaining = min(max(0.0, remaining), limit)
    per_second = _rate(headers, names, limit, remaining)
    return HeaderLimit(max(per_second, _SLOWEST[unit]), remaining)


def _rate(headers: Mapping[str, str], names: _Names, limit: float, remaining: float) -> float:
    """Units that come back a second; a limit is by the minute where the headers give no window."""
    if names.window is not None:
        return limit / names.window
    window = _WINDOW.search(headers.get(names.policy) or headers[names.limit])
    if window:
        seconds = float(window[1])
        return limit / max(1.0, seconds) if seconds <= _LONGEST_WINDOW else limit / _MINUTE
    reset = _seconds(headers.get(names.reset, ""), names.reset)
    if reset and remaining < limit:
        # Some count by the day: then the time to fill up again gives a lower rate.
        return min(limit / _MINUTE, (limit - remaining) / reset)
    return limit / _MINUTE


def _seconds(text: str, name: str) -> float | None:
    """``6m0s``, ``20ms``, ``1.5`` (seconds); None for a point in time."""
    seconds = any_number(text)
    if seconds is None:
        parts = _DURATION.findall(text)
        seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if not isfinite(seconds) or _LONGEST_WINDOW < seconds < _POINT_IN_TIME:
        _LOG.warning("a reset that makes no sense is ignored (%s: %.40r)", name, text)
        return None
    return seconds if 0 < seconds <= _LONGEST_WINDOW else None
