"""What stands for "no error" in the place of one; some servers put it beside every answer."""

from __future__ import annotations

_WENT_WELL = frozenset({"0", "200", "ok", "success"})
_NOTHING = frozenset({"", "none", "null", "false", "no error"})


def tells_no_error(error: object) -> bool:
    """Whether an "error" beside an answer says that there is none.

    An object does so by its code, or in each of its values.
    """
    match error:
        case dict():
            values = error.values()
            return _plain(error.get("code")) in _WENT_WELL or all(map(tells_no_error, values))
        case list():
            return all(map(tells_no_error, error))
    return _plain(error) in _WENT_WELL | _NOTHING


def _plain(value: object) -> str:
    return str(value).strip().lower()
