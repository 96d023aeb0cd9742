"""Numbers in a readable form."""

from rich.cells import cell_len, set_cell_size

_MINUTE, _HOUR = 60, 3600
_CUT = "..."
_CHARACTERS_A_CELL = 4
"""Combining characters take no cell; no more of a text than this is read to cut it."""
_TEN = 10


def duration(seconds: float | None) -> str:
    """``8.2 s``, ``3:07``, ``1:02:45``."""
    if seconds is None:
        return "-"
    if seconds < _TEN:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    minutes, rest = divmod(whole, _MINUTE)
    if whole < _HOUR:
        return f"{minutes}:{rest:02}"
    return f"{minutes // _MINUTE}:{minutes % _MINUTE:02}:{rest:02}"


def milliseconds(value: float) -> str:
    """``87 ms``, ``1.24 s``."""
    return f"{value:.0f} ms" if value < 1000 else f"{value / 1000:.2f} s"  # noqa: PLR2004 - ms in a second


def number(value: float) -> str:
    """``0.4``, ``12``, ``3,400``."""
    return f"{value:.1f}" if value < _TEN else f"{value:,.0f}"


def part_of(count: int, whole: int) -> str:
    """``1,000 samples``, or ``50 of 1,000 samples``."""
    return f"{whole:,} samples" if count == whole else f"{count:,} of {whole:,} samples"


def cut(text: str, width: int) -> str:
    """The text on one line of at most ``width`` terminal cells, without control characters."""
    head = text[: _CHARACTERS_A_CELL * width]
    visible = "".join(mark if mark.isprintable() else " " for mark in head)
    line = " ".join(visible.split())
    if cell_len(line) <= width:
        return line
    return set_cell_size(line, max(0, width - len(_CUT))).rstrip() + _CUT
