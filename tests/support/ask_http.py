"""Asks a chatbot once, by the options of ``backend=http``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from lm_eval_so import RunConfig, TestSample
from lm_eval_so.runner.backends.http_api.backend import HttpBackend
from lm_eval_so.runner.errors import BackendError
from support.requests import request_of

if TYPE_CHECKING:
    from lm_eval_so import ChatResponse
    from lm_eval_so.runner.models import Journal


def asked(*turns: str, **fields: Any) -> TestSample:  # noqa: ANN401 - of a sample
    """A sample whose turns are the user's and the assistant's, by turns."""
    roles = ["user", "assistant"]
    messages = [{"role": roles[at % 2], "content": text} for at, text in enumerate(turns)]
    return TestSample(id="s0", **{"messages": messages, **fields})


def backend_of(
    options: dict[str, Any],
    environ: dict[str, str] | None = None,
    **config: Any,  # noqa: ANN401
) -> HttpBackend:
    named = {"backend": "http", "model": "bot", **config}
    return HttpBackend(RunConfig(backend_options=options, **named), environ or {})


def ask(
    options: dict[str, Any],
    sample: TestSample | None = None,
    environ: dict[str, str] | None = None,
    *,
    journal: Journal | None = None,
    **config: Any,  # noqa: ANN401 - of a RunConfig
) -> ChatResponse:
    backend = backend_of(options, environ, **config)
    request = request_of(
        sample or asked("hello"), 0, backend.config, "key", "trace", journal=journal
    )

    async def main() -> ChatResponse:
        async with backend:
            return await backend.send(request)

    return asyncio.run(main())


def failure(
    options: dict[str, Any],
    sample: TestSample | None = None,
    environ: dict[str, str] | None = None,
) -> BackendError:
    with pytest.raises(BackendError) as raised:
        ask(options, sample, environ)
    return raised.value
