"""Text on one line, for a message or a log."""


def one_line(message: str, longest: int) -> str:
    """A message on one line of at most so many characters, without what moves a cursor."""
    visible = "".join(mark if mark.isprintable() else " " for mark in message[: 4 * longest])
    line = " ".join(visible.split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"
