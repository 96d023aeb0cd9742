"""Backends made of a function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lm_eval_so import ChatBackend, RunConfig

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from lm_eval_so import ChatResponse, RunRequest


class Sends(ChatBackend):
    """Answers with ``function``."""

    def __init__(self, function: Callable[[RunRequest], Awaitable[ChatResponse]]) -> None:
        super().__init__(RunConfig(backend="sends", model="m"))
        self.function = function

    async def send(self, request: RunRequest) -> ChatResponse:
        return await self.function(request)
