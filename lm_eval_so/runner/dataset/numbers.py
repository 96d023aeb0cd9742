"""Numbers that Python's parsers read, but that are not valid JSON."""

import math
import re
from collections.abc import Iterator, Mapping

from lm_eval_so.runner.models import SAMPLE_PARAMETERS, TestSample

_SUSPECT = re.compile(rb"\d(?:\d{18}|[eE]\+?\d{3})")
_NO_NUMBERS = (b"NaN", b"Infinity")

_SENT = ("messages", *SAMPLE_PARAMETERS)
_LOWEST, _HIGHEST = -(2**63), 2**64 - 1


def odd_number(line: bytes, sample: TestSample) -> str | None:
    """The sentence for a number that cannot be sent or written unchanged, or None.

    NaN and Infinity are refused everywhere, since they would become null. Integers above 64 bits
    are refused in what is sent: JSON allows them, but most servers and our serialiser do not.
    """
    if not _is_suspect(line):
        return None
    for where, number in _numbers(sample.model_dump(), ""):
        if isinstance(number, float) and not math.isfinite(number):
            return f"{where} is {_word(number)}, which is not a JSON number; write null or a string"
        too_large = isinstance(number, int) and not _LOWEST <= number <= _HIGHEST
        if too_large and where.partition(".")[0] in _SENT:
            return f"{where} does not fit in 64 bits; write it as a string"
    return None


def _is_suspect(line: bytes) -> bool:
    """Whether it may hold such a number; most lines do not, and are not parsed again."""
    return any(word in line for word in _NO_NUMBERS) or bool(_SUSPECT.search(line))


def _word(number: float) -> str:
    if math.isnan(number):
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"


def _numbers(value: object, where: str) -> Iterator[tuple[str, int | float]]:
    if isinstance(value, int | float):
        yield where, value
    elif isinstance(value, Mapping | list):
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, item in items:
            yield from _numbers(item, f"{where}.{key}" if where else str(key))
