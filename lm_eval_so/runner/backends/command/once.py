"""One process for each request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lm_eval_so.runner.backends.command.failure import failed, too_long
from lm_eval_so.runner.backends.command.output import read_output
from lm_eval_so.runner.backends.command.process import Child, Start

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
    async with await Child.start(what, longest) as child:
        child.write(question)
        child.close_stdin()
        code = await child.exit_code()
    if child.too_long:
        raise too_long(longest)
    if code:
        raise failed(code, child.stderr, options.retry_exit_codes)
    return read_output(options, bytes(child.output), child.stderr)
