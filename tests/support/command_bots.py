"""Programs that answer, and what is left of them."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lm_eval_so.runner.backends.command.backend import CommandBackend
from lm_eval_so.runner.models import RunConfig, TestSample
from support.requests import request_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lm_eval_so.runner.models import ChatResponse, RunRequest

QUESTION = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where?"}]


def script(folder: Path, text: str) -> list[str]:
    """The command that runs a Python program."""
    (folder / "bot.py").write_text(text)
    return [sys.executable, str(folder / "bot.py")]


def backend_of(
    command: list[str], environ: Mapping[str, str] | None = None, **options: object
) -> CommandBackend:
    given = {"command": command, **options}
    config = RunConfig(backend="command", model="m", backend_options=given)
    return CommandBackend(config, environ)


def asked(backend: CommandBackend, messages: list[dict[str, Any]] | None = None) -> RunRequest:
    sample = TestSample.model_validate({"id": "s", "messages": messages or QUESTION})
    return request_of(sample, 0, backend.config, "key", "trace")


def ask(command: list[str], **options: object) -> ChatResponse:
    backend = backend_of(command, **options)

    async def once() -> ChatResponse:
        async with backend:
            return await backend.send(asked(backend))

    return asyncio.run(once())


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that nobody has waited for does not."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"
