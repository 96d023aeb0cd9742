"""Anthropic: the SDK's configuration, and bodies of the Messages API on our own transport."""

from __future__ import annotations

import hashlib
import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Self

from lm_eval_so.runner.backends.anthropic.environment import (
    BASE_URL_VARIABLE,
    read_account,
    read_connection,
)
from lm_eval_so.runner.backends.anthropic.options import MODELS_PATH, PATH, AnthropicOptions
from lm_eval_so.runner.backends.anthropic.wire import messages_wire
from lm_eval_so.runner.backends.base import ChatBackend
from lm_eval_so.runner.backends.http.proxy import system_proxies
from lm_eval_so.runner.backends.http.transport import Transport
from lm_eval_so.runner.backends.wires.account import key_words, userinfo_words
from lm_eval_so.runner.backends.wires.ask import Content, ask, content_of
from lm_eval_so.runner.backends.wires.models import advice_on_model
from lm_eval_so.runner.backends.wires.remedy import Setup
from lm_eval_so.runner.config.identity import sent
from lm_eval_so.runner.errors import BackendSetupError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lm_eval_so.runner.backends.base import Outgoing
    from lm_eval_so.runner.errors import BackendError
    from lm_eval_so.runner.models import ChatResponse, Message, RunConfig, RunRequest


class AnthropicBackend(ChatBackend):
    """Anthropic, or any server that speaks its Messages API.

    Args:
        config: What is asked, and with which options.
        environ: The variables in force; None for those of this process, and for the proxies in
            the settings of the system.
    """

    options: AnthropicOptions
    options_model = AnthropicOptions
    operational_options = frozenset({"api_key", "api_key_env", "base_url", "default_query"})

    def __init__(self, config: RunConfig, environ: Mapping[str, str] | None = None) -> None:
        super().__init__(config)
        if find_spec("anthropic") is None:
            raise BackendSetupError(
                "backend=anthropic needs the extra anthropic: pip install 'lm-eval-so[anthropic]'"
            )
        of_system = system_proxies if environ is None else lambda _: {}
        environ = os.environ if environ is None else environ
        self._connection = read_connection(self.options, environ, of_system)
        self._account = read_account(self.options, environ)
        self._wire = messages_wire(
            {"model": config.model, **self.defaults, **sent(config.parameters)}
        )

    @property
    def endpoint(self) -> str:
        return self._connection.endpoint

    @property
    def hosted(self) -> bool:
        return self._connection.hosted

    @property
    def limit_scope(self) -> str:
        parts = (self._account.credential, self.endpoint, self.config.model)
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    @property
    def defaults(self) -> dict[str, Any]:
        return sent(self.options.request_defaults)

    @property
    def secrets(self) -> list[str]:
        return [*self._account.secrets, *self._connection.secrets]

    async def __aenter__(self) -> Self:
        from lm_eval_so.runner.backends.anthropic.client import (  # noqa: PLC0415 - a second of CPU
            with_sdk_headers,
        )

        connection = with_sdk_headers(self._connection, self._account)
        transport = Transport(connection, PATH, longest=self.longest_answer)
        self._transport = await transport.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transport.__aexit__()

    async def remedy(self, error: BackendError) -> str:
        if isinstance(error, NotFoundError):
            return await advice_on_model(
                self._transport, self.config.model, self.endpoint, MODELS_PATH
            )
        setup = Setup.of(self._connection, BASE_URL_VARIABLE, self._key_words())
        return setup.remedy(error)

    def _key_words(self) -> str:
        if self._account.by_userinfo:
            return userinfo_words(self._connection.endpoint)
        return key_words(self.options.api_key, self._account.variable)

    def examine(self, messages: list[Message], parameters: Mapping[str, Any]) -> None:
        self._wire.examine(messages, parameters)

    async def send(self, request: RunRequest) -> ChatResponse:
        content = self._content(request)
        return await ask(self._transport, self._wire, content, request.journal.left_again)

    async def preview(self, request: RunRequest) -> Outgoing:
        async with self:
            return await self._transport.preview(*self._content(request))

    def _content(self, request: RunRequest) -> Content:
        return content_of(self._wire, request, {})
