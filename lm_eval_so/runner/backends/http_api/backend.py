"""``backend=http``: asks any API over HTTP, as the config describes it."""

from __future__ import annotations

import hashlib
import logging
import os
from time import perf_counter
from typing import TYPE_CHECKING, Any, Self

from lm_eval_so.runner.backends.base import ChatBackend, Examined
from lm_eval_so.runner.backends.http.proxy import system_proxies
from lm_eval_so.runner.backends.http.transport import Transport
from lm_eval_so.runner.backends.http_api.answer import AnswerReader, Told
from lm_eval_so.runner.backends.http_api.environment import KEY, read_target
from lm_eval_so.runner.backends.http_api.options import HttpOptions, check_options
from lm_eval_so.runner.backends.http_api.outgoing import RequestMaker
from lm_eval_so.runner.backends.http_api.session import new_session, turns_of
from lm_eval_so.runner.backends.http_api.stream import Assembly, StreamPaths
from lm_eval_so.runner.backends.http_api.token import Hiding, Token
from lm_eval_so.runner.errors import (
    AuthenticationError,
    BackendError,
    EndpointUnreachableError,
    MethodNotAllowedError,
    NotFoundError,
    PermissionDeniedError,
)
from lm_eval_so.runner.masking.options import identity_options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lm_eval_so.runner.backends.base import Finding, Outgoing
    from lm_eval_so.runner.backends.http.response_body import Answer
    from lm_eval_so.runner.backends.http_api.outgoing import Parcel
    from lm_eval_so.runner.models import ChatResponse, RunConfig, RunRequest, TestSample

    Read = Callable[[Answer], Told]

_LOG = logging.getLogger(__name__)
_UNAUTHORIZED = 401


class HttpBackend(ChatBackend):
    """An API that the config describes.

    Args:
        config: What is asked, and how.
        environ: The variables in force; None for those of this process, and for the proxies in
            the settings of the system.
    """

    options: HttpOptions
    options_model = HttpOptions
    operational_options = frozenset({"url", "headers", "auth", "retry_when"})

    def __init__(self, config: RunConfig, environ: Mapping[str, str] | None = None) -> None:
        super().__init__(config)
        check_options(self.options)
        proxies = system_proxies if environ is None else lambda _: {}
        self._target = read_target(
            self.options, os.environ if environ is None else environ, proxies
        )
        self._maker = RequestMaker(self.options, self._target)
        self._reader = AnswerReader(self.options)
        stream = self.options.stream
        self._stream_paths = None if stream is None else StreamPaths(self.options, stream)
        self._token = None if self.options.auth is None else Token(self.options.auth)
        self._told_of_turns = self._maker.uses_earlier_turns

    @property
    def identity_options(self) -> dict[str, Any]:
        options = self.options.model_dump(
            by_alias=True, exclude={*self.operational_options}, exclude_defaults=True
        )
        return identity_options(options)

    @property
    def endpoint(self) -> str:
        return self._target.endpoint

    @property
    def hosted(self) -> bool:
        return self._target.connection.hosted

    @property
    def limit_scope(self) -> str:
        headers = sorted(self._target.connection.headers.items())
        parts = (self.endpoint, self.config.model, headers, self.options.auth)
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    @property
    def secrets(self) -> list[str]:
        return [*self._target.secrets, *self._target.connection.secrets]

    def sent_of(self, sample: TestSample) -> dict[str, Any]:
        return self._maker.of_sample(sample)

    async def __aenter__(self) -> Self:
        self._transport = await Transport(
            self._target.connection,
            "",
            longest=self.longest_answer,
            method=self.options.method,
            answered=self.options.ok_status,
        ).__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transport.__aexit__()

    async def remedy(self, error: BackendError) -> str:
        match error:
            case EndpointUnreachableError() if self._target.connection.proxy is None:
                return f"nobody takes connections at {self.endpoint}; start it, or check {KEY}.url"
            case AuthenticationError(status_code=int()) | PermissionDeniedError():
                return f"check {KEY}.headers and {KEY}.auth"
            case NotFoundError() | MethodNotAllowedError():
                return f"check {KEY}.url ({self.endpoint}) and {KEY}.method"
        return "look at one question with check=1" if error.sample_fault is False else ""

    async def send(self, request: RunRequest) -> ChatResponse:
        return await self._converse(request, self._reader.read)

    async def preview(self, request: RunRequest) -> Outgoing:
        parcel = self._maker.make(self._turns(request)[0], self._first_session(request))
        if self._token is not None:
            parcel = parcel.with_headers(self._token.shown)
        async with self:
            return await self._transport.preview(parcel.body, parcel.headers, parcel.at)

    async def try_once(self, request: RunRequest) -> Examined:
        if self._stream_paths is not None:
            return await super().try_once(request)
        findings: list[Finding] = []

        def read(answer: Answer) -> Told:
            findings[:] = self._reader.findings(answer)
            return self._reader.read(answer)

        try:
            await self._converse(request, read)
        except BackendError as error:
            return Examined(findings, error)
        return Examined(findings)

    async def _converse(self, request: RunRequest, read: Read) -> ChatResponse:
        """Asks all turns of a sample, of which most have one; the last answer counts."""
        session = self._first_session(request)
        first, *others = self._turns(request)
        told = await self._ask(first, session, read)
        for turn in others:
            session = session if told.session is None else told.session
            request.journal.left_again()  # a request of its own, which the budget counts
            told = await self._ask(turn, session, read)
        return told.response

    def _first_session(self, request: RunRequest) -> str | None:
        made = self.options.session is not None and self.options.session.source is None
        return new_session(request) if made else None

    def _turns(self, request: RunRequest) -> list[RunRequest]:
        """A bot that keeps the conversation is told one turn after the other."""
        if self._maker.uses_earlier_turns:
            return [request]
        turns = turns_of(request)
        if self.options.session is not None:
            return turns
        if len(turns) > 1 and not self._told_of_turns:
            self._told_of_turns = True
            _LOG.warning(
                "samples have several user turns, of which the bot is told the last alone: send "
                "messages or history in %s.body, or set %s.session",
                KEY,
                KEY,
            )
        return [request]

    async def _ask(self, request: RunRequest, session: object, read: Read) -> Told:
        parcel, resent = self._maker.make(request, session), request.journal.left_again
        if self._token is None:
            return await self._exchange(parcel, resent, read)
        token = await self._token.get()
        authorised = parcel.with_headers(self._token.headers(token))
        try:
            told = await self._exchange(authorised, resent, read)
        except AuthenticationError as refused:
            if refused.status_code != _UNAUTHORIZED:
                raise
            another = await self._token.replace(token)
            if another is None:
                raise
            token = another
            resent()
            authorised = parcel.with_headers(self._token.headers(token))
            told = await self._exchange(authorised, resent, read)
        self._token.accept(token)
        return told

    async def _exchange(self, parcel: Parcel, resent: Callable[[], None], read: Read) -> Told:
        if self._stream_paths is not None:
            return await self._stream(parcel, resent, self._stream_paths)
        answer = await self._transport.post(parcel.body, parcel.headers, resent, parcel.at)
        return read(self._hidden(answer))

    def _hidden(self, answer: Answer) -> Answer:
        """The answer without our token, which nobody else knows to hide."""
        if self._token is None:
            return answer
        return answer._replace(body=self._token.hide(answer.body))

    async def _stream(self, parcel: Parcel, resent: Callable[[], None], paths: StreamPaths) -> Told:
        started = perf_counter()
        assembly = Assembly(paths)
        async with self._transport.stream(parcel.body, parcel.headers, resent, parcel.at) as stream:
            if not self._reader.accepts(stream.status):
                self._reader.check(self._hidden(await stream.whole()))
            hiding = Hiding(b"") if self._token is None else self._token.hiding()
            async for piece in stream.pieces():
                assembly.feed(hiding.feed(piece), (perf_counter() - started) * 1000)
                if assembly.done:
                    break
        elapsed = (perf_counter() - started) * 1000
        if not assembly.done:
            assembly.feed(hiding.rest(), elapsed)
        return Told(assembly.response(stream.status, stream.headers, elapsed), assembly.session)
