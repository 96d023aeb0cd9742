"""The values that travel through a run, and the lines that are left of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, Required

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from typing_extensions import TypedDict

from lm_eval_so.runner.masking.options import concealed
from lm_eval_so.runner.text.wording import Told

SCHEMA_VERSION = 1
"""Version of the RunResult line; a reader can tell by it what to expect."""

SAMPLE_PARAMETERS = ("tools", "tool_choice", "response_format", "parallel_tool_calls")
"""Keys of a sample that are sent as parameters of its request."""

Role = Literal["system", "developer", "user", "assistant", "tool", "function"]
Status = Literal["ok", "error", "timeout"]


def _absent(value: object) -> bool:
    return value is None


class Value(BaseModel):
    """A frozen value."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())


class Message(TypedDict, total=False):
    """One turn, as Chat Completions takes it; keys not named here are kept and sent."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]

    role: Required[Role]
    content: str | list[dict[str, Any]] | None
    name: str | None
    tool_calls: list[dict[str, Any]] | None
    tool_call_id: str | None


def _check_messages(messages: list[Message]) -> list[Message]:
    for position, message in enumerate(messages):
        if "content" not in message and message["role"] != "assistant":
            raise ValueError(f"messages[{position}] has no content")
        # Exporters such as pandas and Arrow write every key of a column, null where a row has none.
        if message.get("name", ...) is None:
            del message["name"]
        if message.get("tool_calls", ...) is None:
            del message["tool_calls"]
        if message.get("tool_call_id", ...) is None:
            del message["tool_call_id"]
    return messages


def _as_id(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _list_if_null(value: object) -> object:
    return [] if value is None else value


def _mapping_if_null(value: object) -> object:
    return {} if value is None else value


class TestSample(Value):
    """One line of ``test.jsonl``; keys not named here are kept in ``model_extra``.

    Attributes:
        id: An integer becomes its text, so that 7 and "7" are one sample.
        tools, tool_choice, response_format, parallel_tool_calls: What Chat Completions takes under
            these names; sent with this sample, in the place of the config's parameter.
    """

    model_config = ConfigDict(extra="allow")
    __test__: ClassVar[bool] = False  # not a test class, whatever pytest reads in the name

    id: Annotated[str, Field(min_length=1), BeforeValidator(_as_id)]
    messages: Annotated[list[Message], Field(min_length=1), AfterValidator(_check_messages)]
    expected: Any = None
    tags: Annotated[list[str], Field(default_factory=list), BeforeValidator(_list_if_null)]
    metadata: Annotated[
        dict[str, Any], Field(default_factory=dict), BeforeValidator(_mapping_if_null)
    ]
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """What is sent with this sample beside its messages; empty for most.

        An empty list of tools counts as none: servers refuse it.
        """
        if not (
            self.tools
            or self.tool_choice
            or self.response_format
            or self.parallel_tool_calls is not None
        ):
            return {}
        given = {name: getattr(self, name) for name in SAMPLE_PARAMETERS}
        return {name: value for name, value in given.items() if value not in (None, [], {}, "")}


class RunConfig(Value, metaclass=Told):
    """What decides the answers.

    Attributes:
        backend: Kind of the backend: ``openai``, ``local``, ``simulated`` or a third party's.
        model: Name of the model, as the backend knows it.
        parameters: Sent to the model as they are; a None is not sent.
        backend_options: Read by the backend. Secrets in it are concealed at once.
        metadata: Notes; they change nothing.
    """

    model_config = ConfigDict(extra="forbid")

    backend: Annotated[str, Field(min_length=1)]
    model: Annotated[str, Field(min_length=1)]
    parameters: dict[str, Any] = {}
    backend_options: Annotated[dict[str, Any], AfterValidator(concealed)] = {}
    metadata: dict[str, Any] = {}


class TokenUsage(Value):
    """Tokens of one answer, as the server counted them."""

    input: int | None = None
    output: int | None = None
    total: int | None = None


class ChatResponse(Value):
    """What a backend answers. An empty ``text`` is an answer.

    Attributes:
        text: Text of the first choice; its refusal where it has no content.
        status_code: HTTP status.
        tokens: None where the server tells nothing that can be used.
        model: The model that served the request, which may be a dated version of the one asked.
        request_id: The provider's id of the request.
        time_to_first_token_ms: With ``stream: true``, from sending to the first piece of text.
        raw: The whole answer, as JSON data.
        headers: Of the answer, a mapping; those that tell limits teach the limiter. Not recorded.
        cost_usd: US dollars, where the server tells them. Recorded as that of the RunResult.
    """

    text: str
    finish_reason: str | None = None
    status_code: int | None = None
    tokens: TokenUsage | None = None
    model: str | None = None
    request_id: str | None = None
    time_to_first_token_ms: Annotated[float | None, Field(exclude_if=_absent)] = None
    raw: Any = None
    headers: Annotated[Any, Field(exclude=True, repr=False)] = None
    cost_usd: Annotated[float | None, Field(exclude=True)] = None


class RunError(Value):
    """Why a sample has no answer."""

    error_type: str
    message: str
    status_code: int | None = None
    retryable: bool
    details: dict[str, Any] | None = None


class Wait(StrEnum):
    """What a request waits for before it is sent; the keys of ``waited_ms``."""

    SLOT = "slot"
    RATE_LIMIT = "rate_limit"
    BACKOFF = "backoff"
    OUTAGE = "outage"


class Attempt(Value):
    """One request on the wire.

    Attributes:
        latency_ms: From sending to the answer or the failure.
        waited_ms: Time before sending, by what was waited for: a `Wait`.
    """

    started_at: datetime | None
    latency_ms: float | None
    waited_ms: dict[str, float]
    status_code: int | None
    error_type: str | None


class RecordedConfig(Value):
    """The RunConfig as results keep it: without secrets."""

    backend: str
    model: str
    parameters: dict[str, Any]
    backend_options: dict[str, Any]


class RequestContext(Value):
    """What an evaluator needs beside the answer."""

    sample_tags: list[str]
    sample_metadata: dict[str, Any]
    expected: Any


class RunResult(Value):
    """The outcome of one sample: a line of ``run_results.jsonl``.

    Exactly one of ``response`` and ``error`` is set. ``latency_ms`` is the last attempt alone,
    ``repeat`` counts from 0, ``cost_usd`` is there where the server tells it, or the model's price
    is known.
    """

    schema_version: int = SCHEMA_VERSION
    sample_id: str
    repeat: int = 0
    dataset_id: str
    backend: str
    trace_id: str
    status: Status
    attempts: int
    latency_ms: float | None
    started_at: datetime
    completed_at: datetime
    request_key: str
    run_config: RecordedConfig
    request_messages: list[Message]
    request_context: RequestContext
    response: ChatResponse | None
    error: RunError | None
    cost_usd: Annotated[float | None, Field(exclude_if=_absent)] = None
    attempt_log: Annotated[tuple[Attempt, ...] | None, Field(exclude_if=_absent)] = None


class Journal:
    """What happened to one sample on its way; the only value that changes, owned by its worker.

    The strategies write into it, and the outermost reads it. Times are wall-clock for a person,
    durations are monotonic.

    Attributes:
        number: Attempts, from 1.
        refusals: Attempts that are not held against the sample, since the server had no room.
        answers_seen: Answers to the whole run when its last attempt failed.
        resent: Times that this attempt left once more, since a kept connection had lost it.
    """

    __slots__ = (
        "_first_left",
        "answers_seen",
        "attempts",
        "first_started_at",
        "latency_ms",
        "number",
        "refusals",
        "resent",
        "started_at",
        "waited_ms",
    )

    def __init__(self) -> None:
        self.number = self.refusals = self.answers_seen = 0
        self.attempts: list[Attempt] = []
        self.first_started_at: datetime | None = None
        self._first_left = 0.0
        self.begin()

    def begin(self) -> None:
        """Starts the next attempt; ``number`` counts them from 1."""
        self.number += 1
        self.resent = 0
        self.started_at: datetime | None = None
        self.latency_ms: float | None = None
        self.waited_ms: dict[Wait, float] = {}

    def wait(self, reason: Wait, seconds: float) -> None:
        """Adds time spent before sending."""
        self.waited_ms[reason] = round(self.waited_ms.get(reason, 0.0) + seconds * 1000, 3)

    def left(self, moment: datetime, at: float) -> None:
        """Notes that the request goes out now.

        Args:
            moment: On the wall clock, which counts for the first attempt.
            at: Seconds on a clock that only goes forward.
        """
        if self.first_started_at is None:
            self.first_started_at, self._first_left = moment, at
        self.started_at = self.moment(at)

    def moment(self, at: float) -> datetime | None:
        """The time of day at a moment on the clock of `left`; None before the first attempt.

        Whoever sets the wall clock meanwhile does not turn the order of a sample's times.
        """
        if self.first_started_at is None:
            return None
        return self.first_started_at + timedelta(seconds=at - self._first_left)

    def left_again(self) -> None:
        """Notes that a kept connection lost the request, and that it goes out once more."""
        self.resent += 1

    def close(self, *, status_code: int | None = None, error_type: str | None = None) -> None:
        """Ends the attempt, keeping its record."""
        self.attempts.append(
            Attempt(
                started_at=self.started_at,
                latency_ms=self.latency_ms,
                waited_ms={str(reason): ms for reason, ms in self.waited_ms.items()},
                status_code=status_code,
                error_type=error_type,
            )
        )


@dataclass(frozen=True, slots=True)
class RunRequest:
    """One sample made ready to send.

    Attributes:
        index: The sample's place in the dataset, from 0.
        run_config: The model, its parameters and the backend's options.
        request_key: SHA-256 of what is sent, in hex; equal keys are the same question.
        trace_id: Unique in this run; backends send it as a header.
        repeat: 0 for the first time that the sample is asked.
        attempt: 1 for the first.
    """

    sample: TestSample
    index: int
    run_config: RunConfig
    request_key: str
    trace_id: str
    repeat: int = 0
    attempt: int = 1
    journal: Journal = field(default_factory=Journal, compare=False, repr=False)

    def with_(self, *, attempt: int) -> RunRequest:
        """The same request, on another attempt.

        Written out, since `dataclasses.replace` takes five times as long.
        """
        return RunRequest(
            self.sample,
            self.index,
            self.run_config,
            self.request_key,
            self.trace_id,
            self.repeat,
            attempt,
            self.journal,
        )

    @property
    def sample_id(self) -> str:
        """The sample's id."""
        return self.sample.id

    @property
    def messages(self) -> list[Message]:
        """The whole conversation, in order."""
        return self.sample.messages
