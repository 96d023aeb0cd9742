"""The seam: everything that answers has this shape, and everything around it wraps this shape."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, NamedTuple, Self

import orjson
from pydantic import ValidationError

from lm_eval_so.runner.config.identity import sent
from lm_eval_so.runner.config.messages import invalid
from lm_eval_so.runner.config.schema import Config
from lm_eval_so.runner.errors import BackendError
from lm_eval_so.runner.masking.options import identity_options, with_plain_headers
from lm_eval_so.runner.models import ChatResponse, Message, RunConfig, RunRequest, TestSample

LONGEST_ANSWER = 64_000_000  # bytes
Send = Callable[[RunRequest], Awaitable[ChatResponse]]
"""``async def send(request)``: an answer, or a BackendError."""


asked_replica: ContextVar[str | None] = ContextVar("asked_replica", default=None)
"""Name of the replica that this task asked last; a pool sets it, whatever comes of the request."""


class Outgoing(NamedTuple):
    """A request as it leaves, with its secrets.

    Attributes:
        method: ``POST``; empty where nothing goes over HTTP.
        address: Where it goes.
        headers: Name and value of each, in order.
        body: JSON, or what the header ``Content-Type`` says.
    """

    method: str
    address: str
    headers: list[tuple[str, str]]
    body: bytes


class Finding(NamedTuple):
    """Something that was found in an answer, for a person: what, and its value."""

    name: str
    value: Any


class Examined(NamedTuple):
    """A question that was asked once, to look at.

    Attributes:
        findings: What was found in the answer, in order.
        error: Why there is no answer; None where there is one.
    """

    findings: list[Finding]
    error: BackendError | None = None


class ChatBackend(ABC):
    """What answers.

    A backend needs `send` and no more. Opened once with ``async with`` before the first request,
    closed after the last.
    """

    options_model: ClassVar[type[Config] | None] = None
    """Checks ``backend_options``; without one they are taken as they are."""

    longest_answer: int = LONGEST_ANSWER
    """Bytes of one answer, unpacked, that are read at the most: ``runner.max_response_mb``."""

    files_in: Path | None = None
    """Folder in which the ``file:`` paths of samples begin; their bytes are in what is sent."""

    operational_options: ClassVar[frozenset[str]] = frozenset()
    """Names of options that change no answer, or that `endpoint` stands for."""

    def __init__(self, config: RunConfig) -> None:
        """Reads the config; nothing is opened yet.

        Raises:
            ConfigError: An option is wrong.
            BackendSetupError: A key, a package or a file is missing.
        """
        self.config = config
        self.options: Any = config.backend_options
        if self.options_model is not None:
            self.options = _read(self.options_model, config)

    @property
    def identity_options(self) -> dict[str, Any]:
        """The options that are part of a run's identity: no secrets, nothing operational."""
        options = self.options
        if isinstance(options, Config):
            options = options.model_dump(exclude={*self.operational_options})
        else:
            options = with_plain_headers(options)
        return {
            name: str(value) if isinstance(value, Path) else value
            for name, value in identity_options(options).items()
            if value is not None and name not in self.operational_options
        }

    @property
    def endpoint(self) -> str:
        """Where the answers come from; a part of each request's key. It may be a mere name."""
        return ""

    @property
    def address(self) -> str:
        """An address of whoever answers, by which the price list knows a provider."""
        return self.endpoint

    @property
    def replicas(self) -> int:
        """Servers, or accounts of one server, that answer the same; more than one are a pool."""
        return 1

    @property
    def takes_at_once(self) -> int | None:
        """Requests that ``max_concurrency: auto`` sends at once; None finds out."""
        return None

    @property
    def hosted(self) -> bool:
        """Whether a provider with many customers answers, and no machine of one's own.

        ``max_concurrency: auto`` then starts with more requests at once.
        """
        return False

    @property
    def limit_scope(self) -> str | None:
        """Names whom the provider's limits count against: an endpoint, a model and a key.

        Runs in one process that name the same keep the limits together; None keeps them alone.
        """
        return None

    @property
    def defaults(self) -> dict[str, Any]:
        """Parameters that are sent where the config names none; a part of each request's key."""
        return {}

    @property
    def secrets(self) -> list[str]:
        """Values that must not be written anywhere, beside the secrets among the options."""
        return []

    async def remedy(self, error: BackendError) -> str:  # noqa: ARG002 - for those who know more
        """What a person can do about an error that ends the run, in a few words."""
        return ""

    @abstractmethod
    async def send(self, request: RunRequest) -> ChatResponse:
        """Asks once; it is called concurrently.

        Raises:
            BackendError: There is no answer; anything else counts as a bug, costs its sample, and
                ends the run where all of the first samples meet it.
        """

    @property
    def sends_more(self) -> bool:
        """Whether more of a sample is sent than its messages and parameters: `sent_of`."""
        return type(self).sent_of is not ChatBackend.sent_of

    def sent_of(self, sample: TestSample) -> Mapping[str, Any]:  # noqa: ARG002 - for those who do
        """What of a sample is sent beside its messages and parameters; a part of its key."""
        return {}

    async def try_once(self, request: RunRequest) -> Examined:
        """Asks once, for a person who wants to see what comes back."""
        try:
            response = await self.send(request)
        except BackendError as error:
            return Examined([], error)
        if replica := asked_replica.get():
            response = response.model_copy(update={"served_by": replica})
        fields = response.model_dump(mode="json", exclude={"raw"}, exclude_none=True)
        return Examined([Finding(name, value) for name, value in fields.items()])

    @property
    def takes_everything(self) -> bool:
        """Whether `examine` would find nothing wrong with any sample."""
        return type(self).examine is ChatBackend.examine

    def examine(  # noqa: B027 - most take everything
        self, messages: list[Message], parameters: Mapping[str, Any]
    ) -> None:
        """Looks whether a sample can be sent at all; called for each before anything is sent.

        Args:
            messages: The conversation that would be sent; its files are still named by their paths.
            parameters: The sample's own, such as its tools.

        Raises:
            ValueError: It cannot; one sentence says why.
        """

    async def preview(self, request: RunRequest) -> Outgoing:
        """What `send` would send; nothing is sent, and the backend need not be open.

        A backend that speaks HTTP overrides this, and makes it from the same parts as `send`.
        """
        body = {
            "model": request.run_config.model,
            **self.defaults,
            **sent(request.run_config.parameters),
            **request.parameters,
            "messages": request.messages,
        }
        return Outgoing("", self.endpoint or self.config.backend, [], orjson.dumps(body))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None


def _read(model: type[Config], config: RunConfig) -> Config:
    try:
        return model.model_validate(config.backend_options)
    except ValidationError as error:
        raise invalid(error, "backend.options.", model) from error
