"""A process on a real pseudo-terminal of a given width, and what a person reads there."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time
from typing import TYPE_CHECKING, Self

from support.patience import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

_SEQUENCE = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)|\x1b.?")
_HEIGHT = 40


def _own_terminal() -> None:
    """Makes standard input the terminal of a new session, which is told when it goes away."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Terminal:
    """Runs ``command`` with all three streams on the terminal.

    Attributes:
        seen: All that was written, as it came.
    """

    def __init__(
        self, command: Sequence[str], width: int, env: Mapping[str, str], cwd: Path
    ) -> None:
        self.width = width
        self.seen = ""
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _HEIGHT, width, 0, 0))
        self.process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm-256color", **env},
            cwd=cwd,
            preexec_fn=_own_terminal,  # noqa: PLW1509 - no thread of ours holds a lock
        )
        os.close(theirs)
        self._hung_up = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait()
        self.hang_up()

    def end(self) -> int:
        """Waits for the exit code, and for all that was written."""
        code = self.process.wait(60)
        self._reader.join(PATIENCE_S)
        return code

    def hang_up(self) -> None:
        """Closes the terminal: its session gets SIGHUP, and whatever writes to it an error."""
        self._hung_up.set()
        self._reader.join(PATIENCE_S)

    def wait_for(self, what: Callable[[list[str]], bool], seconds: float = 60) -> list[str]:
        """The screen as soon as it is so."""
        until = time.monotonic() + seconds
        while not what(lines := self.screen()):
            assert time.monotonic() < until, lines
            time.sleep(0.01)
        return lines

    def screen(self) -> list[str]:
        """The lines as they stand now, without what has been overwritten or erased."""
        lines, row, column = [""], 0, 0
        for codes, command, control, text in _SEQUENCE.findall(self.seen):
            if control == "\r":
                column = 0
            elif control == "\n":
                row += 1
                lines += [""] * (row + 1 - len(lines))
            elif command == "A":
                row = max(0, row - int(codes or 1))
            elif command == "K":
                lines[row] = "" if codes == "2" else lines[row][:column]
            elif text:
                line = lines[row].ljust(column)
                lines[row] = line[:column] + text + line[column + len(text) :]
                column += len(text)
        return [line.rstrip() for line in lines]

    def _read(self) -> None:
        buffer = b""
        while not self._hung_up.is_set():
            if not select.select([self._ours], [], [], 0.02)[0]:
                continue
            try:
                buffer += os.read(self._ours, 1 << 16)
            except OSError:  # the last process that had the terminal has gone
                break
            self.seen = buffer.decode(errors="replace")
        os.close(self._ours)
