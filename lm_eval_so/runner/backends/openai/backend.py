"""OpenAI, and servers like it: the SDK's configuration, on the wire that the options name."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from lm_eval_so.runner.backends.base import ChatBackend
from lm_eval_so.runner.backends.http.proxy import system_proxies
from lm_eval_so.runner.backends.http.transport import Transport
from lm_eval_so.runner.backends.openai.chat import ChatWire
from lm_eval_so.runner.backends.openai.environment import read_account, read_connection
from lm_eval_so.runner.backends.openai.options import PATHS, OpenAIOptions
from lm_eval_so.runner.backends.openai.responses.wire import responses_wire
from lm_eval_so.runner.backends.wires.account import key_words, userinfo_words
from lm_eval_so.runner.backends.wires.ask import Content, ask, content_of
from lm_eval_so.runner.backends.wires.models import advice_on_model
from lm_eval_so.runner.backends.wires.remedy import Setup
from lm_eval_so.runner.config.identity import sent
from lm_eval_so.runner.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lm_eval_so.runner.backends.base import Outgoing
    from lm_eval_so.runner.backends.wires.wire import Wire
    from lm_eval_so.runner.errors import BackendError
    from lm_eval_so.runner.models import ChatResponse, Message, RunConfig, RunRequest

_TRACE_HEADER = "X-Client-Request-Id"
"""OpenAI writes this header into its logs: https://platform.openai.com/docs/api-reference."""
_LONGEST_TRACE = 512  # characters, by the same page
_PLAIN = "".join(map(chr, range(0x21, 0x7F))).replace("%", "")


class OpenAIBackend(ChatBackend):
    """OpenAI, or any server that speaks Chat Completions or Responses.

    Args:
        config: What is asked, and with which options.
        environ: The variables in force; None for those of this process, and for the proxies in
            the settings of the system.
    """

    options: OpenAIOptions
    options_model = OpenAIOptions
    operational_options = frozenset(
        {"api_key", "api_key_env", "api_key_header", "base_url", "default_query"}
        | {"organization", "project"}
    )

    def __init__(self, config: RunConfig, environ: Mapping[str, str] | None = None) -> None:
        super().__init__(config)
        if environ is None:
            environ = os.environ
            self._connection = read_connection(self.options, environ, system_proxies)
        else:
            self._connection = read_connection(self.options, environ)
        self._account = read_account(self.options, environ)
        self._wire = self._chosen_wire()

    def _chosen_wire(self) -> Wire:
        defaults, given = self.options.request_defaults, self.config.parameters
        fixed = {"model": self.config.model, **sent(defaults), **sent(given)}
        if self.options.wire == "responses":
            return responses_wire(fixed)
        return ChatWire(
            fixed,
            counts_tokens="stream_options" not in {**defaults, **given},  # null leaves it out
            think_tags=bool(self.options.think_tags),
        )

    @property
    def endpoint(self) -> str:
        """The address; behind it the path of a wire that is not the usual one."""
        return self._connection.endpoint_of("" if self.options.wire is None else self._path)

    @property
    def _path(self) -> str:
        return PATHS[self.options.wire]

    @property
    def hosted(self) -> bool:
        return self._connection.hosted

    @property
    def limit_scope(self) -> str:
        by = self._account
        address = self._connection.endpoint  # whatever the wire
        parts = (by.credential, address, self.config.model, by.organization, by.project)
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    @property
    def defaults(self) -> dict[str, Any]:
        return sent(self.options.request_defaults)

    @property
    def secrets(self) -> list[str]:
        return [*self._account.secrets, *self._connection.secrets]

    async def __aenter__(self) -> Self:
        from lm_eval_so.runner.backends.openai.client import (  # noqa: PLC0415 - a second of CPU
            with_sdk_headers,
        )

        connection = with_sdk_headers(self._connection, self._account)
        transport = Transport(connection, self._path, longest=self.longest_answer)
        self._transport = await transport.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transport.__aexit__()

    async def remedy(self, error: BackendError) -> str:
        if isinstance(error, NotFoundError):
            return await advice_on_model(
                self._transport, self.config.model, self._connection.endpoint
            )
        setup = Setup.of(self._connection, "OPENAI_BASE_URL", self._key_words())
        return setup.remedy(error)

    def _key_words(self) -> str:
        if self._account.by_userinfo:
            return userinfo_words(self._connection.endpoint)
        return key_words(self.options.api_key, self.options.api_key_env)

    @property
    def takes_everything(self) -> bool:
        return self.options.wire is None  # Chat Completions does

    def examine(self, messages: list[Message], parameters: Mapping[str, Any]) -> None:
        self._wire.examine(messages, parameters)

    async def send(self, request: RunRequest) -> ChatResponse:
        content = self._content(request)
        return await ask(self._transport, self._wire, content, request.journal.left_again)

    async def preview(self, request: RunRequest) -> Outgoing:
        async with self:
            return await self._transport.preview(*self._content(request))

    def _content(self, request: RunRequest) -> Content:
        trace = quote(request.trace_id, safe=_PLAIN)[:_LONGEST_TRACE]
        return content_of(self._wire, request, {_TRACE_HEADER: trace})
