"""What answers for the wires, in the table of what all backends must keep."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from support.fake_openai import FakeOpenAI, Received, Reply, echo
from support.fake_wires import FakeAnthropic, FakeResponses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

SECRET = "sk-0123456789-of-nobody-abcdef"  # noqa: S105 - nobody's
Behaviour = Literal["echoes", "refuses", "tells"]
"""Answers with an echo; refuses all as with a wrong key; tells the key in all it says."""
LATENCY = 0.02  # seconds


@dataclass(frozen=True)
class Answerer:
    """What is behind a backend.

    Attributes:
        arguments: That choose the backend.
        env: Variables that it needs.
        asked: The questions that came so far, in order.
    """

    arguments: list[str]
    env: dict[str, str]
    asked: Callable[[], list[str]]


def _reply(behaviour: Behaviour) -> Callable[[Received, int], Reply]:
    def behave(received: Received, _: int) -> Reply:
        if behaviour == "refuses":
            return Reply(status=401, text=f"the key is wrong: {SECRET}")
        told = f" {SECRET}" if behaviour == "tells" else ""
        return Reply(text=echo(received.question) + told, latency=LATENCY)

    return behave


@contextmanager
def _answers(server: FakeOpenAI, arguments: list[str], key_variable: str) -> Iterator[Answerer]:
    with server:
        yield Answerer(
            ["model=m", *arguments],
            {**server.env, key_variable: SECRET},
            lambda: [received.question for received in server.requests],
        )


def anthropic(behaviour: Behaviour) -> AbstractContextManager[Answerer]:
    server = FakeAnthropic(_reply(behaviour))
    return _answers(server, ["backend=anthropic"], "ANTHROPIC_API_KEY")


def anthropic_streamed(behaviour: Behaviour) -> AbstractContextManager[Answerer]:
    server = FakeAnthropic(_reply(behaviour))
    return _answers(server, ["backend=anthropic", "params.stream=true"], "ANTHROPIC_API_KEY")


def responses(behaviour: Behaviour) -> AbstractContextManager[Answerer]:
    server = FakeResponses(_reply(behaviour))
    arguments = ["backend=openai", "backend.options.wire=responses"]
    return _answers(server, arguments, "OPENAI_API_KEY")


ANSWERERS: dict[str, Callable[[Behaviour], AbstractContextManager[Answerer]]] = {
    "anthropic": anthropic,
    "anthropic, streamed": anthropic_streamed,
    "responses": responses,
}


def environment(answerer: Answerer) -> dict[str, str]:
    """The variables of a process with this backend."""
    return {**os.environ, **answerer.env}
