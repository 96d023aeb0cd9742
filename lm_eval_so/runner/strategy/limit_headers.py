"""What a provider tells of its limits in the headers of its answers."""

import re
from collections.abc import Mapping
from typing import NamedTuple

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_WINDOW = re.compile(r";\s*w=(\d+)")
_MINUTE = 60.0
_LONGEST_RESET = 1e9  # beyond this it is a point in time, of which clocks disagree


class Told(NamedTuple):
    """A limit as one answer tells it.

    Attributes:
        per_second: How fast the allowance comes back.
        remaining: Units left when the answer was made.
    """

    per_second: float
    remaining: float


def read_limits(headers: Mapping[str, str]) -> dict[str, Told]:
    """The limits on ``requests`` and ``tokens``, as far as the headers tell them.

    Known are ``x-ratelimit-{limit,remaining,reset}-{requests,tokens}`` as of OpenAI, and the
    generic ``ratelimit-{limit,remaining,reset}`` of draft-ietf-httpapi-ratelimit-headers, which
    counts requests.
    """
    found = {}
    for unit in ("requests", "tokens"):
        if f"x-ratelimit-remaining-{unit}" in headers:
            told = _told(headers, "x-", f"-{unit}")
            if told:
                found[unit] = told
    if "requests" not in found:
        for prefix in ("x-", ""):
            told = _told(headers, prefix, "")
            if told:
                found["requests"] = told
    return found


def _told(headers: Mapping[str, str], prefix: str, suffix: str) -> Told | None:
    try:
        limit_text = headers[f"{prefix}ratelimit-limit{suffix}"]
        limit = float(limit_text.partition(",")[0].partition(";")[0])
        remaining = float(headers[f"{prefix}ratelimit-remaining{suffix}"])
    except (KeyError, ValueError):
        return None
    if not (limit > 0 and 0 <= remaining < float("inf")):
        return None
    window = _WINDOW.search(headers.get(f"{prefix}ratelimit-policy", limit_text))
    if window:
        return Told(limit / max(1, int(window[1])), remaining)
    per_second = limit / _MINUTE
    reset = _seconds(headers.get(f"{prefix}ratelimit-reset{suffix}", ""))
    if reset and remaining < limit:
        # Some count by the day: then the time to fill up again tells a lower rate.
        per_second = min(per_second, (limit - remaining) / reset)
    return Told(per_second, remaining)


def _seconds(text: str) -> float | None:
    """``6m0s``, ``20ms``, ``1.5`` (seconds)."""
    try:
        seconds = float(text)
    except ValueError:
        parts = _DURATION.findall(text)
        seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    return seconds if 0 < seconds < _LONGEST_RESET else None
