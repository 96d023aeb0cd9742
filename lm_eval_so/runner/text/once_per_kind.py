"""Messages that would be repeated for each of many answers."""

import logging


class OncePerKind(logging.Filter):
    """Lets a message through once a process, whatever its arguments: for what many answers repeat.

    It stands on the logger of the module that would repeat itself.
    """

    def __init__(self) -> None:
        super().__init__()
        self.told: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.msg in self.told:
            return False
        self.told.add(record.msg)
        return True
