"""Numbers as others write them, in headers and bodies: typed and bounded here and nowhere else."""

import re
from math import inf, isfinite

_LONGEST = 400  # characters; beyond, a float has no more to tell
_MOST = 2**63 - 1
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?\s*", re.ASCII)
_SENSELESS = re.compile(r"\s*[+-]?(nan|inf|infinity)\s*", re.IGNORECASE)


def number(value: object) -> float | None:
    """The value as a finite number; None where it is none, or too long a text to be one."""
    found = any_number(value)
    return found if found is not None and isfinite(found) else None


def any_number(value: object) -> float | None:
    """`number`, or what is none but was meant to be: NaN and the infinities."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and not _is_number(value):
        return None
    try:
        return float(value)
    except OverflowError:
        return inf


def _is_number(text: str) -> bool:
    if len(text) > _LONGEST:
        return False
    return bool(_NUMBER.fullmatch(text) or _SENSELESS.fullmatch(text))


def whole_number(value: object) -> int | None:
    """The value as a whole number from 0 to 2^63 - 1; fractions are rounded."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if 0 <= value <= _MOST else None
    found = number(value)
    return None if found is None or not 0 <= found <= _MOST else min(round(found), _MOST)
