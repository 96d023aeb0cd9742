"""Logs a repeated message only once."""

import logging


class OncePerKind(logging.Filter):
    """Lets a message through once per process, whatever its arguments.

    Add it to the logger of a module whose messages many answers would repeat.
    """

    def __init__(self) -> None:
        super().__init__()
        self.told: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.msg in self.told:
            return False
        self.told.add(record.msg)
        return True
