"""OpenAI, and servers like it: the SDK's configuration, on the wire that the options name."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from lm_eval_so.runner.backends.base import ChatBackend
from lm_eval_so.runner.backends.http.pool import Pool
from lm_eval_so.runner.backends.http.proxy import system_proxies
from lm_eval_so.runner.backends.openai.chat import ChatWire
from lm_eval_so.runner.backends.openai.options import PATHS, OpenAIOptions
from lm_eval_so.runner.backends.openai.replicas import (
    concerned_by,
    open_transport,
    read_replicas,
    setup_of,
)
from lm_eval_so.runner.backends.openai.responses.wire import responses_wire
from lm_eval_so.runner.backends.wires.ask import Content, ask, content_of
from lm_eval_so.runner.backends.wires.models import advice_on_model
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
    """OpenAI, or any server that speaks Chat Completions or Responses; or several: a pool.

    Args:
        config: What is asked, and with which options.
        environ: The variables in force; None for those of this process, and for the proxies in
            the settings of the system.
    """

    options: OpenAIOptions
    options_model = OpenAIOptions
    operational_options = frozenset(
        {
            *("api_key", "api_key_env", "api_key_header", "organization", "project"),
            *("base_url", "default_query", "endpoint_name", "affinity"),
        }
    )

    def __init__(self, config: RunConfig, environ: Mapping[str, str] | None = None) -> None:
        super().__init__(config)
        if environ is None:
            self._replicas = read_replicas(self.options, os.environ, system_proxies)
        else:
            self._replicas = read_replicas(self.options, environ)
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
        """The name that was given, or the addresses; with the path of a wire that is not usual."""
        path = "" if self.options.wire is None else PATHS[self.options.wire]
        if name := self.options.endpoint_name:
            before, mark, query = name.partition("?")  # it may be the address of an earlier run
            return f"{before}{path}{mark}{query}"
        addresses = {one.connection.endpoint_of(path) for one in self._replicas}
        return " ".join(sorted(addresses))

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
            address = connection.endpoint  # whatever the wire
            parts = (by.credential, address, model, by.organization, by.project)
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
        concerned = concerned_by(error, self._replicas)
        setup = setup_of(concerned, self.options)
        if not isinstance(error, NotFoundError):
            return setup.remedy(error)
        asked = self._transport
        if isinstance(asked, Pool):
            asked = asked.replica(error.served_by) or asked
        return await advice_on_model(asked, self.config.model, setup.endpoint)

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
