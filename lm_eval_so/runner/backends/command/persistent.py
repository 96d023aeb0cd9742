"""Processes that answer many requests: a line of JSON each way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from lm_eval_so.runner.backends.command.failure import failed, too_long
from lm_eval_so.runner.backends.command.output import read_json_answer
from lm_eval_so.runner.backends.command.process import Child, Start
from lm_eval_so.runner.errors import InvalidResponseError

if TYPE_CHECKING:
    from lm_eval_so.runner.backends.command.options import CommandOptions
    from lm_eval_so.runner.models import ChatResponse


class Processes:
    """As many as there are requests at once; one that did not answer is ended, and not used again.

    Args:
        what: Starts one.
        options: Of the backend.
        longest: Bytes of a line.
    """

    def __init__(self, what: Start, options: CommandOptions, longest: int) -> None:
        self._what, self._options, self._longest = what, options, longest
        self._free: list[Child] = []

    async def ask(self, question: bytes) -> ChatResponse:
        """Writes a line to a process that is free, and reads one.

        Raises:
            BackendError: The process failed, or its line is no answer.
        """
        child = await self._take()
        try:
            line = await self._line(child, question)
        except BaseException:  # a line that comes later would answer another question
            await child.end()
            raise
        self._free.append(child)
        return read_json_answer(line, self._options.paths)

    async def close(self) -> None:
        """Closes the stdin of all; those that do not end are killed."""
        while self._free:
            await self._free.pop().retire()

    async def _take(self) -> Child:
        while self._free:
            child = self._free.pop()
            if not (child.ended or child.output):  # what it said unasked answers nothing
                return child
            await child.end()
        return await Child.start(self._what, self._longest)

    async def _line(self, child: Child, question: bytes) -> bytes:
        child.write(question)
        line = await child.line()
        if child.too_long or len(line) > self._longest:
            raise too_long(self._longest)
        if not line.endswith(b"\n"):
            code = await child.exit_code()
            raise failed(code, child.stderr, self._options.retry_exit_codes)
        if _id_of(line) not in (None, orjson.loads(question)["id"]):
            raise InvalidResponseError(
                "no answer: the command's line has the id of another question", retryable=False
            )
        return line


def _id_of(line: bytes) -> object:
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return found.get("id") if isinstance(found, dict) else None
