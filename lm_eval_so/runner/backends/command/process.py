"""A process with a group of its own, bounded in time and output, and gone when it is let go."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from subprocess import PIPE
from typing import TYPE_CHECKING, NamedTuple, Self

from lm_eval_so.runner.errors import TransientError

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from pathlib import Path

_CHUNK = 1 << 16  # bytes
_TAIL = 8_000  # bytes of stderr that are kept: the end of it
_PATIENCE = 3.0  # seconds for the system to end what it was told to kill
GRACE = 1.0
"""Seconds for a program to end by itself, and for its pipes to close after its end."""


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


class Child:
    """A process that was started; to be used with ``async with``, or ended with `end`.

    It leads a session, and so a process group, of its own: Ctrl-C in a terminal does not reach it,
    and what it has started ends with it.

    Args:
        process: Started in a session of its own, with three pipes.

    Attributes:
        output: What `read` has read.
    """

    def __init__(self, process: Process) -> None:
        self._process = process
        assert process.stdin is not None  # noqa: S101 - `start` asked for the pipes
        assert process.stdout is not None  # noqa: S101 - as above
        assert process.stderr is not None  # noqa: S101 - as above
        self._stdin, self._stdout = process.stdin, process.stdout
        self._tail = bytearray()
        self._drained = asyncio.create_task(self._drain(process.stderr))
        self._exited = asyncio.create_task(self._watch())
        self.output = bytearray()

    @classmethod
    async def start(cls, what: Start, longest_line: int = _CHUNK) -> Self:
        """Starts a process.

        Args:
            what: To be started.
            longest_line: Bytes that `read_line` takes.

        Raises:
            TransientError: The system has no room for another process, or no such program any more.
        """
        try:
            process = await asyncio.create_subprocess_exec(
                *what.arguments,
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                env=what.env,
                cwd=what.cwd,
                start_new_session=True,
                limit=longest_line,
            )
        except OSError as error:
            raise TransientError(f"the command cannot be started: {error}") from error
        return cls(process)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.end()

    @property
    def ended(self) -> bool:
        """Whether the process is gone."""
        return self._exited.done()

    @property
    def stderr(self) -> str:
        """The end of what it has said on stderr."""
        return self._tail.decode(errors="replace").strip()

    async def feed(self, data: bytes) -> None:
        """Writes all there is to stdin, as far as it is read."""
        await self.write(data)
        self._stdin.close()

    async def write(self, data: bytes) -> None:
        """Writes to stdin, as far as it is read."""
        with suppress(ConnectionError):
            self._stdin.write(data)
            await self._stdin.drain()

    async def read(self, longest: int) -> None:
        """Reads stdout into `output`; kills the process beyond so many bytes."""
        while chunk := await self._stdout.read(_CHUNK):
            self.output += chunk
            if len(self.output) > longest:
                self._kill_group()
                return

    async def read_line(self) -> bytes:
        """A line of stdout; what is there where it ends without one.

        Raises:
            ValueError: It is longer than `start` was told.
        """
        return await self._stdout.readline()

    async def exit_code(self) -> int:
        """Waits for its end; negative for a signal."""
        code = await asyncio.shield(self._exited)
        # What left the group may hold the pipe, and says nothing that belongs to the answer.
        await asyncio.wait({self._drained}, timeout=GRACE)
        return code

    async def retire(self) -> None:
        """Lets it go by itself: nothing more comes on stdin."""
        self._stdin.close()
        await asyncio.wait({self._exited}, timeout=GRACE)
        await self.end()

    async def end(self) -> None:
        """Kills the group, and waits until the process is gone and its pipes are closed."""
        if not self.ended:
            self._kill_group()
        self._stdin.close()
        await asyncio.wait({self._exited}, timeout=_PATIENCE)
        self._exited.cancel()
        self._drained.cancel()
        await asyncio.wait({self._exited, self._drained})
        self._process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001 - no public way

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            else:  # Windows has no process groups
                self._process.kill()

    async def _watch(self) -> int:
        code = await self._process.wait()
        self._kill_group()  # at once: later, the number may be another group's
        return code

    async def _drain(self, stderr: asyncio.StreamReader) -> None:
        while chunk := await stderr.read(_CHUNK):
            self._tail += chunk
            del self._tail[:-_TAIL]
