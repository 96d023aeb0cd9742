"""The conversation that a bot keeps: its id, and the turns that it is told one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5

if TYPE_CHECKING:
    from lm_eval_so.runner.models import RunRequest


def new_session(request: RunRequest) -> str:
    """A session of a sample's attempt, by its trace id.

    A retry begins another one, since the bot may have heard the question the first time.
    """
    return str(uuid5(NAMESPACE_URL, f"{request.trace_id}/{request.attempt}"))


def turns_of(request: RunRequest) -> list[RunRequest]:
    """The same request up to each of its user turns, in order; itself where there is one."""
    asked = [at for at, message in enumerate(request.messages) if message["role"] == "user"]
    earlier = [replace(request, messages=request.messages[: at + 1]) for at in asked[:-1]]
    return [*earlier, request]
