"""Chat Completions: the SDK's configuration, and a body that is sent as it was given."""

from __future__ import annotations

import hashlib
import os
from difflib import get_close_matches
from time import perf_counter
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import orjson

from lm_eval_so.runner.backends.base import ChatBackend
from lm_eval_so.runner.backends.http.error_response import from_status
from lm_eval_so.runner.backends.http.numbers import whole_number
from lm_eval_so.runner.backends.http.proxy import system_proxies
from lm_eval_so.runner.backends.openai.answer import AnswerReader, as_response, read_answer
from lm_eval_so.runner.backends.openai.completion import AnswerOptions
from lm_eval_so.runner.backends.openai.model_names import model_names
from lm_eval_so.runner.backends.openai.options import OpenAIOptions
from lm_eval_so.runner.backends.openai.replicas import open_transport, read_replicas
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
    from collections.abc import Callable, Mapping, Sequence

    from lm_eval_so.runner.backends.base import Outgoing
    from lm_eval_so.runner.backends.openai.replicas import Replica
    from lm_eval_so.runner.models import ChatResponse, RunConfig, RunRequest

_MOST_NAMED = 5  # models
_TRACE_HEADER = "X-Client-Request-Id"
"""OpenAI writes this header into its logs: https://platform.openai.com/docs/api-reference."""
_LONGEST_TRACE = 512  # characters, by the same page
_PLAIN = "".join(map(chr, range(0x21, 0x7F))).replace("%", "")


class OpenAIBackend(ChatBackend):
    """OpenAI, or any server that speaks Chat Completions.

    Args:
        config: What is asked, and with which options.
        environ: The variables in force; None for those of this process, and for the proxies in
            the settings of the system.
    """

    options: OpenAIOptions
    options_model = OpenAIOptions
    operational_options = frozenset(
        {
            *("api_key", "api_key_env", "organization", "project"),
            *("base_url", "default_query", "endpoint_name", "affinity"),
        }
    )

    def __init__(self, config: RunConfig, environ: Mapping[str, str] | None = None) -> None:
        super().__init__(config)
        if environ is None:
            environ = os.environ
            self._replicas = read_replicas(self.options, environ, system_proxies)
        else:
            self._replicas = read_replicas(self.options, environ)
        self._fixed = {
            "model": config.model,
            **sent(self.options.request_defaults),
            **sent(config.parameters),
        }
        self._reading = AnswerOptions(
            choices=whole_number(self._fixed.get("n")) or 1,
            think_tags=bool(self.options.think_tags),
        )
        self._streams = self._fixed.get("stream") is True
        named = {**self.options.request_defaults, **config.parameters}
        if self._streams and "stream_options" not in named:  # null leaves it out
            self._fixed["stream_options"] = {"include_usage": True}

    @property
    def endpoint(self) -> str:
        return self.options.endpoint_name or " ".join(sorted(self._addresses))

    @property
    def address(self) -> str:
        return self._replicas[0].connection.endpoint

    @property
    def replicas(self) -> int:
        return len(self._replicas)

    @property
    def hosted(self) -> bool:
        return any(one.connection.hosted for one in self._replicas)

    @property
    def limit_scope(self) -> str:
        model, scopes = self.config.model, list[str]()
        for _, connection, by, _ in self._replicas:
            parts = (by.credential, connection.endpoint, model, by.organization, by.project)
            scopes.append(repr(parts))
        return hashlib.sha256("".join(sorted(scopes)).encode()).hexdigest()

    @property
    def defaults(self) -> dict[str, Any]:
        return sent(self.options.request_defaults)

    @property
    def secrets(self) -> list[str]:
        pairs = ((one.account, one.connection) for one in self._replicas)
        return [secret for pair in pairs for part in pair for secret in part.secrets]

    async def __aenter__(self) -> Self:
        transport = open_transport(self._replicas, self.options, self.longest_answer)
        self._transport = await transport.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transport.__aexit__()

    async def remedy(self, error: BackendError) -> str:
        concerned = self._concerned(error)
        where, first = ", ".join(one.name for one in concerned), concerned[0]
        found = ""
        match error:
            case EndpointUnreachableError() if first.connection.proxy:
                pass  # it is the proxy, and the message says what to do
            case EndpointUnreachableError():
                found = (
                    f"no server takes connections at {where}; start it, or name another "
                    "with backend.options.base_url or the variable OPENAI_BASE_URL"
                )
            case ProxyAuthenticationError():
                found = (
                    "put a user name and a password into the variable HTTPS_PROXY or HTTP_PROXY, "
                    "or the server's name into NO_PROXY"
                )
            case AuthenticationError() if first.account.by_userinfo:
                found = f"check the user name and the password in the address of {where}"
            case AuthenticationError() if self.options.api_key:
                found = "check backend.options.api_key"
            case AuthenticationError() | QuotaExceededError():
                found = f"check the key in the variable {_variables(concerned)} and its account"
            case MethodNotAllowedError():
                found = f"check backend.options.base_url ({where})"
            case NotFoundError():
                found = await self._models_there_are(where)
        return found

    @property
    def _addresses(self) -> set[str]:
        return {one.connection.endpoint for one in self._replicas}

    def _concerned(self, error: BackendError) -> list[Replica]:
        """The replica that an error is about; all where none was reached, or nobody knows."""
        if isinstance(error, EndpointUnreachableError):
            return self._replicas
        return [one for one in self._replicas if one.name == error.served_by] or self._replicas

    async def _models_there_are(self, where: str) -> str:
        names = await model_names(self._transport)
        if not names or self.config.model in names:
            return f"check model and backend.options.base_url ({where})"
        near = get_close_matches(self.config.model, names, n=_MOST_NAMED, cutoff=0)
        return f"{where} has no model {self.config.model!r}; it has {', '.join(near)}"

    async def send(self, request: RunRequest) -> ChatResponse:
        body, headers = self._content(request)
        resent = request.journal.left_again
        if self._streams:
            return await self._stream(body, headers, resent)
        answer = await self._transport.post(body, headers, resent)
        if not answer.ok:
            raise from_status(*answer)
        return read_answer(answer.body, answer.status, answer.headers, self._reading)

    async def preview(self, request: RunRequest) -> Outgoing:
        async with self:
            return await self._transport.preview(*self._content(request))

    def _content(self, request: RunRequest) -> tuple[bytes, dict[str, str]]:
        """Body and headers of a request."""
        fixed = self._fixed
        if request.repeat:  # its seed is another
            fixed = {**fixed, **sent(request.run_config.parameters)}
        body = orjson.dumps({**fixed, **request.parameters, "messages": request.messages})
        return body, {_TRACE_HEADER: quote(request.trace_id, safe=_PLAIN)[:_LONGEST_TRACE]}

    async def _stream(
        self, body: bytes, headers: dict[str, str], resent: Callable[[], None]
    ) -> ChatResponse:
        started = perf_counter()
        reader = AnswerReader(self._reading)
        async with self._transport.stream(body, headers, resent) as stream:
            if not stream.ok:
                raise from_status(*await stream.whole())
            async for piece in stream.pieces():
                reader.feed(piece, (perf_counter() - started) * 1000)
                if reader.done:
                    break
        response = as_response(reader.completion(), stream.status, stream.headers, self._reading)
        return response.model_copy(
            update={
                "time_to_first_token_ms": reader.time_to_first_token_ms,
                "time_to_first_answer_token_ms": reader.time_to_first_answer_token_ms,
            }
        )


def _variables(replicas: Sequence[Replica]) -> str:
    return " and ".join(sorted({one.key_variable for one in replicas}))
