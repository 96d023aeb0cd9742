"""Errors of a command: what it ended with, and what it said."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from lm_eval_so.runner.errors import AnswerTooLongError, CommandFailedError
from lm_eval_so.runner.text.one_line import one_line

if TYPE_CHECKING:
    from collections.abc import Collection

_LONGEST_WORDS = 300  # characters that are quoted


def failed(code: int, stderr: str, retried: Collection[int]) -> CommandFailedError:
    """The error of a command that did not end well.

    Args:
        code: Its exit code; negative for the signal that ended it.
        stderr: The end of what it said there; the last line is quoted.
        retried: Exit codes that are worth another attempt.
    """
    last = stderr.splitlines()[-1] if stderr else ""
    said = f": {one_line(last, _LONGEST_WORDS)}" if last else ""
    return CommandFailedError(
        f"the command {_ended(code)}{said}",
        retryable=code in retried,
        details={"code": code, "stderr": stderr},
    )


def too_long(longest: int) -> AnswerTooLongError:
    """The error of a command that printed more than so many bytes, and was ended."""
    return AnswerTooLongError(
        f"the command printed more than {longest / 1e6:g} MB (runner.max_response_mb)"
    )


def _ended(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
