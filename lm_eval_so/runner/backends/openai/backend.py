"""Chat Completions: the SDK's configuration and exceptions, a body that is sent as it was given."""

from __future__ import annotations

import hashlib
from difflib import get_close_matches
from time import perf_counter
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import orjson

from lm_eval_so.runner.backends.base import ChatBackend
from lm_eval_so.runner.backends.openai.body import read_json
from lm_eval_so.runner.backends.openai.completion import parse_completion
from lm_eval_so.runner.backends.openai.errors import from_vendor, vendor_errors
from lm_eval_so.runner.backends.openai.kept import count_resends
from lm_eval_so.runner.backends.openai.options import OpenAIOptions
from lm_eval_so.runner.backends.openai.refusal import from_status
from lm_eval_so.runner.backends.openai.stream import Assembly
from lm_eval_so.runner.backends.openai.transport import Transport
from lm_eval_so.runner.config.identity import sent
from lm_eval_so.runner.errors import (
    AuthenticationError,
    BackendError,
    EndpointUnreachableError,
    MethodNotAllowedError,
    NotFoundError,
    ProxyAuthenticationError,
    QuotaExceededError,
)

if TYPE_CHECKING:
    from types import TracebackType

    from openai import AsyncOpenAI

    from lm_eval_so.runner.models import ChatResponse, RunConfig, RunRequest

_PATH = "/chat/completions"
_PAGE = "text/html"
_MOST_NAMED = 5  # models
_TRACE_HEADER = "X-Client-Request-Id"
"""OpenAI writes this header into its logs: https://platform.openai.com/docs/api-reference."""
_LONGEST_TRACE = 512  # characters, by the same page
_PLAIN = "".join(map(chr, range(0x21, 0x7F))).replace("%", "")


class OpenAIBackend(ChatBackend):
    """OpenAI, or any server that speaks Chat Completions."""

    options: OpenAIOptions
    options_model = OpenAIOptions
    operational_options = frozenset(
        {"api_key", "api_key_env", "base_url", "organization", "project"}
    )
    _client: AsyncOpenAI

    def __init__(self, config: RunConfig) -> None:
        super().__init__(config)
        self._key = self.options.key()
        self._fixed = {
            "model": config.model,
            **sent(self.options.request_defaults),
            **sent(config.parameters),
        }
        self._streams = self._fixed.get("stream") is True
        if self._streams:
            self._fixed.setdefault("stream_options", {"include_usage": True})

    @property
    def endpoint(self) -> str:
        return self.options.endpoint

    @property
    def hosted(self) -> bool:
        return self.options.hosted

    @property
    def limit_scope(self) -> str:
        options = self.options
        parts = (self._key, self.endpoint, self.config.model, options.organization, options.project)
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    @property
    def defaults(self) -> dict[str, Any]:
        return sent(self.options.request_defaults)

    @property
    def secrets(self) -> list[str]:
        return [self._key]

    async def __aenter__(self) -> Self:
        from openai import AsyncOpenAI  # noqa: PLC0415 - a second of CPU

        from lm_eval_so.runner.backends.openai.stream_client import (  # noqa: PLC0415 - as above
            StreamClient,
        )

        self._client = AsyncOpenAI(
            api_key=self._key,
            base_url=self.options.address,
            organization=self.options.organization,
            project=self.options.project,
            default_headers=self.options.headers,
            max_retries=0,
            timeout=None,
            http_client=StreamClient(),
        )
        self._raised = vendor_errors()
        self._transport = await Transport(self._client, _PATH).__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._transport.__aexit__(kind, error, traceback)
        await self._client.close()

    async def remedy(self, error: BackendError) -> str:
        options = self.options
        found = ""
        match error:
            case EndpointUnreachableError():
                found = (
                    f"no server takes connections at {self.endpoint}; start it, or name another "
                    "with backend.options.base_url or the variable OPENAI_BASE_URL"
                )
            case ProxyAuthenticationError():
                found = (
                    "put a user name and a password into the variable HTTPS_PROXY or HTTP_PROXY, "
                    "or the server's name into NO_PROXY"
                )
            case AuthenticationError() if options.api_key:
                found = "check backend.options.api_key"
            case AuthenticationError() | QuotaExceededError():
                found = f"check the key in the variable {options.api_key_env} and its account"
            case MethodNotAllowedError():
                found = f"check backend.options.base_url ({self.endpoint})"
            case NotFoundError():
                found = await self._models_there_are()
        return found

    async def _models_there_are(self) -> str:
        names = await self._transport.model_names()
        if not names or self.config.model in names:
            return f"check model and backend.options.base_url ({self.endpoint})"
        near = get_close_matches(self.config.model, names, n=_MOST_NAMED, cutoff=0)
        return f"{self.endpoint} has no model {self.config.model!r}; it has {', '.join(near)}"

    async def send(self, request: RunRequest) -> ChatResponse:
        fixed = self._fixed
        if request.repeat:  # its seed is another
            fixed = {**fixed, **sent(request.run_config.parameters)}
        body = orjson.dumps({**fixed, **request.sample.parameters, "messages": request.messages})
        headers = {_TRACE_HEADER: quote(request.trace_id, safe=_PLAIN)[:_LONGEST_TRACE]}
        count_resends(request.journal.left_again)
        if self._streams:
            return await self._stream(body, headers)
        answer = await self._transport.post(body, headers)
        if not answer.ok:
            raise from_status(*answer)
        return parse_completion(read_json(answer.body), answer.status, answer.headers)

    async def _stream(self, body: bytes, headers: dict[str, str]) -> ChatResponse:
        from openai import AsyncStream  # noqa: PLC0415 - loaded with the client

        started = perf_counter()
        assembly = Assembly()
        try:
            async with await self._client.post(
                _PATH,
                cast_to=object,
                content=body,
                options={"headers": headers},
                stream=True,
                stream_cls=AsyncStream[object],
            ) as stream:
                if _PAGE in stream.response.headers.get("content-type", ""):
                    read_json(await stream.response.aread())  # no stream at all: a login page
                async for chunk in stream:
                    assembly.add(chunk, (perf_counter() - started) * 1000)
                answer = stream.response
        except self._raised as error:
            raise from_vendor(error) from error
        response = parse_completion(assembly.completion(), answer.status_code, answer.headers)
        return response.model_copy(
            update={"time_to_first_token_ms": assembly.time_to_first_token_ms}
        )
