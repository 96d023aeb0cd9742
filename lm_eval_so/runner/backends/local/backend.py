"""The embedded model: a child process that serves it, spoken to by the ``openai`` backend."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from contextlib import AsyncExitStack
from typing import IO, TYPE_CHECKING, Annotated, Any, Self

from pydantic import BeforeValidator, Field

from lm_eval_so.runner.backends.base import ChatBackend
from lm_eval_so.runner.backends.local.model import (
    check_name,
    find_model,
    model_digest,
    require_engine,
)
from lm_eval_so.runner.backends.openai.backend import OpenAIBackend
from lm_eval_so.runner.config.identity import sent
from lm_eval_so.runner.config.schema import Config, UserPath
from lm_eval_so.runner.errors import BackendSetupError
from lm_eval_so.runner.masking.options import opened
from lm_eval_so.runner.masking.values import without_handed_on
from lm_eval_so.runner.models import RunConfig

if TYPE_CHECKING:
    from lm_eval_so.runner.models import ChatResponse, RunRequest

_SERVER = "lm_eval_so.runner.backends.local.server"
_PATIENCE = 3  # seconds for the child to go by itself


class LocalOptions(Config):
    """The comments in ``conf/backend/local.yaml`` say what each is."""

    model_path: UserPath | None = None
    context_length: Annotated[int, Field(ge=64)] = 2048
    n_parallel: Annotated[int, Field(ge=1, le=256)] = 4
    request_defaults: Annotated[dict[str, Any], BeforeValidator(opened)] = Field(
        default={"max_tokens": 256}
    )


class LocalBackend(ChatBackend):
    """A GGUF model on this machine."""

    options: LocalOptions
    options_model = LocalOptions
    operational_options = frozenset({"model_path", "n_parallel"})

    def __init__(self, config: RunConfig) -> None:
        super().__init__(config)
        require_engine()
        self._model_path = find_model(self.options.model_path)
        check_name(config.model, self._model_path)
        self._exit = AsyncExitStack()

    @property
    def endpoint(self) -> str:
        return f"gguf:{self._model_path.name}:{model_digest(self._model_path)}"

    @property
    def takes_at_once(self) -> int:
        return self.options.n_parallel

    @property
    def defaults(self) -> dict[str, Any]:
        return sent(self.options.request_defaults)

    async def __aenter__(self) -> Self:
        address = await self._serve()
        config = RunConfig(
            backend="openai",
            model=self.config.model,
            parameters=self.config.parameters,
            backend_options={
                "base_url": f"{address}/v1",
                "api_key": "none-is-asked-for",
                "request_defaults": self.options.request_defaults,
            },
        )
        # What the environment says of OpenAI and of proxies is not about a process of our own.
        client = OpenAIBackend(config, environ={})
        client.longest_answer = self.longest_answer
        self._client = await self._exit.enter_async_context(client)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._exit.aclose()

    async def send(self, request: RunRequest) -> ChatResponse:
        return await self._client.send(request)

    async def _serve(self) -> str:
        log = self._exit.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
        # In a session of its own, since Ctrl-C reaches every process of the terminal's, and the
        # server has to answer what is in flight.
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            _SERVER,
            stdin=PIPE,
            stdout=PIPE,
            stderr=log,
            env=without_handed_on(),
            start_new_session=True,
        )
        self._exit.push_async_callback(_stop, child)
        settings = {
            "model_path": str(self._model_path),
            "alias": self.config.model,
            "context_length": self.options.context_length,
            "n_parallel": self.options.n_parallel,
        }
        assert child.stdin is not None  # noqa: S101 - asked for above
        assert child.stdout is not None  # noqa: S101 - asked for above
        child.stdin.write(json.dumps(settings).encode() + b"\n")
        address = (await child.stdout.readline()).decode().strip()
        if not address:
            reason = _last_line(log)
            await self._exit.aclose()
            raise BackendSetupError(f"the embedded model {self._model_path} did not load: {reason}")
        return address


async def _stop(child: Process) -> None:
    if child.stdin is not None:
        child.stdin.close()
    try:
        async with asyncio.timeout(_PATIENCE):
            await child.wait()
    except TimeoutError:
        child.kill()
        await child.wait()


def _last_line(log: IO[bytes]) -> str:
    log.seek(0)
    lines = log.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it gave no reason"
