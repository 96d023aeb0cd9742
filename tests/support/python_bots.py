"""Bots in Python, as users write them."""

from __future__ import annotations

import asyncio
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lm_eval_so.runner.backends.python.backend import PythonBackend
from lm_eval_so.runner.models import RunConfig, TestSample
from support.requests import request_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lm_eval_so.runner.models import ChatResponse, RunRequest


@contextmanager
def imports_as_before() -> Iterator[None]:
    """Forgets the modules of bots, and where they were looked for."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith(("bot_", "house")):
            del sys.modules[name]


def backend_of(reference: str, **options: object) -> PythonBackend:
    given = {"callable": reference, **options}
    return PythonBackend(RunConfig(backend="python", model="m", backend_options=given))


def asked(backend: PythonBackend, content: str = "Where?") -> RunRequest:
    messages = [{"role": "user", "content": content}]
    sample = TestSample.model_validate({"id": "s", "messages": messages})
    return request_of(sample, 0, backend.config, "key", "trace")


def ask(reference: str, **options: object) -> ChatResponse:
    backend = backend_of(reference, **options)

    async def once() -> ChatResponse:
        async with backend:
            return await backend.send(asked(backend))

    return asyncio.run(once())
