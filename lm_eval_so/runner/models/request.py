"""One sample made ready to send, and what happens to it on its way."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from lm_eval_so.runner.models.result import Attempt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lm_eval_so.runner.models.config import RunConfig
    from lm_eval_so.runner.models.result import Wait
    from lm_eval_so.runner.models.sample import Message, TestSample


class Journal:
    """What happened to one sample on its way; the only value that changes, owned by its worker.

    The strategies write into it, and the outermost reads it. Times are wall-clock for a person,
    durations are monotonic.

    Attributes:
        number: Attempts, from 1.
        refusals: Attempts that are not held against the sample, since the server had no room.
        answers_seen: Answers to the whole run when its last attempt failed.
        resent: Requests of this attempt beside the first: one that a kept connection had lost, one
            whose token had ended, the further turns of a bot that keeps the conversation.
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
        """Notes that one more request goes out in this attempt."""
        self.resent += 1

    def close(
        self,
        *,
        status_code: int | None = None,
        error_type: str | None = None,
        served_by: str | None = None,
    ) -> None:
        """Ends the attempt, keeping its record."""
        self.attempts.append(
            Attempt(
                started_at=self.started_at,
                latency_ms=self.latency_ms,
                waited_ms={str(reason): ms for reason, ms in self.waited_ms.items()},
                status_code=status_code,
                error_type=error_type,
                served_by=served_by,
            )
        )


@dataclass(frozen=True, slots=True)
class RunRequest:
    """One question made ready to send.

    Attributes:
        sample: Where the question comes from; results keep its tags and what it expects.
        index: The sample's place in the dataset, from 0.
        run_config: The model, its parameters and the backend's options.
        request_key: SHA-256 of what is sent, in hex; equal keys are the same question.
        trace_id: Unique in this run; backends send it as a header.
        messages: The whole conversation that is sent, in order.
        parameters: Sent with this question, in the place of the config's of the same name.
        repeat: 0 for the first time that the sample is asked.
        attempt: 1 for the first.
    """

    sample: TestSample
    index: int
    run_config: RunConfig
    request_key: str
    trace_id: str
    messages: list[Message]
    parameters: Mapping[str, Any] = field(default_factory=dict)
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
            self.messages,
            self.parameters,
            self.repeat,
            attempt,
            self.journal,
        )

    @property
    def sample_id(self) -> str:
        """The sample's id."""
        return self.sample.id
