"""A process with a group of its own, bounded in its output, and gone when it is let go."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Self, cast

from lm_eval_so.runner.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_STDIN, _STDOUT, _STDERR = 0, 1, 2
_TAIL = 8_000  # bytes of stderr that are kept: the end of it
_PATIENCE = 3.0  # seconds for the system to end what it was told to kill
_GRACE = 1.0  # seconds for a program to end by itself, and for its pipes to close after its end


class Start(NamedTuple):
    """What is started.

    Attributes:
        arguments: The program first.
        env: All its variables.
        cwd: None for the folder of this process.
    """

    arguments: list[str]
    env: dict[str, str]
    cwd: Path | None


class Child(asyncio.SubprocessProtocol):
    """A process that was started with `start`; to be used with ``async with``, or ended with `end`.

    It leads a session, and so a process group, of its own: Ctrl-C in a terminal does not reach it,
    and what it has started ends with it.

    Args:
        longest: Bytes of stdout that nobody has taken yet; beyond, the process is killed.

    Attributes:
        output: What came on stdout, and was not taken yet.
        ended: Whether the process is gone.
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._tail = bytearray()
        self._open = {_STDOUT, _STDERR}
        self._news = asyncio.Event()
        self.output = bytearray()
        self.ended = False

    @classmethod
    async def start(cls, what: Start, longest: int) -> Self:
        """Starts a process.

        Raises:
            TransientError: The system has no room for another process, or no such program any more.
        """
        try:
            _, child = await asyncio.get_running_loop().subprocess_exec(
                lambda: cls(longest),
                *what.arguments,
                env=what.env,
                cwd=what.cwd,
                start_new_session=True,
            )
        except OSError as error:
            raise TransientError(f"the command cannot be started: {error}") from error
        return child

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.end()

    @property
    def too_long(self) -> bool:
        """Whether it was killed for the length of its output."""
        return len(self.output) > self._longest

    @property
    def stderr(self) -> str:
        """The end of what it has said on stderr."""
        return self._tail.decode(errors="replace").strip()

    def write(self, data: bytes) -> None:
        """Writes to stdin; what it does not read is lost."""
        stdin = self._transport.get_pipe_transport(_STDIN)
        if stdin is not None and not stdin.is_closing():
            cast("asyncio.WriteTransport", stdin).write(data)

    def close_stdin(self) -> None:
        """Says that nothing more comes."""
        stdin = self._transport.get_pipe_transport(_STDIN)
        if stdin is not None:
            stdin.close()  # after what was written

    async def line(self) -> bytes:
        """Takes a line of stdout; what is there where it ends without one."""
        searched = 0

        def is_whole() -> bool:
            nonlocal searched
            found = self.output.find(b"\n", searched) >= 0
            searched = searched if found else len(self.output)
            return found

        await self._until(lambda: is_whole() or self.ended or _STDOUT not in self._open)
        await self._within(_GRACE, lambda: is_whole() or _STDOUT not in self._open)
        end = self.output.find(b"\n") + 1 or len(self.output)
        taken = bytes(self.output[:end])
        del self.output[:end]
        return taken

    async def exit_code(self) -> int:
        """Waits for its end and the rest of its output; negative for a signal."""
        await self._until(lambda: self.ended)
        # What has left the group may hold the pipes; it says nothing that belongs to the answer.
        await self._within(_GRACE, lambda: not self._open)
        return self._transport.get_returncode() or 0

    async def retire(self) -> None:
        """Lets it go by itself, since nothing more comes on stdin; then `end`."""
        self.close_stdin()
        await self._within(_GRACE, lambda: self.ended)
        await self.end()

    async def end(self) -> None:
        """Kills the group, and waits until the process is gone."""
        if not self.ended:
            self._kill_group()
            await self._within(_PATIENCE, lambda: self.ended)
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See SubprocessProtocol."""
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """See SubprocessProtocol."""
        if fd == _STDERR:
            self._tail += data
            del self._tail[:-_TAIL]
        elif not self.too_long:
            self.output += data
            if self.too_long:
                self._kill_group()
        self._news.set()

    def pipe_connection_lost(self, fd: int, _: Exception | None) -> None:
        """See SubprocessProtocol."""
        self._open.discard(fd)
        self._news.set()

    def process_exited(self) -> None:
        """See SubprocessProtocol."""
        self._kill_group()  # at once: later, the number may be another group's
        self.ended = True
        self._news.set()

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(self._transport.get_pid(), signal.SIGKILL)
            else:  # Windows has no process groups
                self._transport.kill()

    async def _until(self, happened: Callable[[], bool]) -> None:
        while not happened():
            self._news.clear()
            await self._news.wait()

    async def _within(self, seconds: float, happened: Callable[[], bool]) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._until(happened)
