"""One process for each request."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from lm_eval_so.runner.backends.command.failure import failed, too_long
from lm_eval_so.runner.backends.command.output import read_output
from lm_eval_so.runner.backends.command.process import GRACE, Child, Start

if TYPE_CHECKING:
    from lm_eval_so.runner.backends.command.options import CommandOptions
    from lm_eval_so.runner.models import ChatResponse


async def ask_once(
    what: Start, question: bytes, options: CommandOptions, longest: int
) -> ChatResponse:
    """Starts the command, and reads what it printed when it has ended.

    Raises:
        BackendError: It failed, said too much, or printed no answer.
    """
    async with await Child.start(what) as child, asyncio.TaskGroup() as group:
        feeding = group.create_task(child.feed(question))
        reading = group.create_task(child.read(longest))
        code = await child.exit_code()
        await asyncio.wait({reading}, timeout=GRACE)  # what left the group may hold the pipe
        feeding.cancel()
        reading.cancel()
    if len(child.output) > longest:
        raise too_long(longest)
    if code:
        raise failed(code, child.stderr, options.retry_exit_codes)
    return read_output(options, bytes(child.output), child.stderr)
