"""Foreign text for a terminal or a log, without active control characters."""

import re

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_LINES = re.compile(_CONTROL.pattern.replace(r"\x0a-", r"\x0b-"))
"""Characters that move a cursor, set a title or a clipboard, end a line or change direction."""


def visible(text: str) -> str:
    r"""The text on one line: each control character escaped (``\x1b``), except tabs."""
    return _CONTROL.sub(_escape, text)


def visible_lines(text: str) -> str:
    """`visible`, for text of several lines."""
    return _LINES.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
