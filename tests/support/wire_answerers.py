"""What answers for the wires, in the table of what all backends must keep."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from support.answerer import LATENCY, SECRET, Answerer, Behaviour
from support.fake_openai import FakeOpenAI, Received, Reply, echo
from support.fake_wires import FakeAnthropic, FakeResponses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path


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


def anthropic(_: Path, behaviour: Behaviour) -> AbstractContextManager[Answerer]:
    server = FakeAnthropic(_reply(behaviour))
    return _answers(server, ["backend=anthropic"], "ANTHROPIC_API_KEY")


def anthropic_streamed(_: Path, behaviour: Behaviour) -> AbstractContextManager[Answerer]:
    server = FakeAnthropic(_reply(behaviour))
    return _answers(server, ["backend=anthropic", "params.stream=true"], "ANTHROPIC_API_KEY")


def responses(_: Path, behaviour: Behaviour) -> AbstractContextManager[Answerer]:
    server = FakeResponses(_reply(behaviour))
    arguments = ["backend=openai", "backend.options.wire=responses"]
    return _answers(server, arguments, "OPENAI_API_KEY")


WIRE_ANSWERERS: dict[str, Callable[[Path, Behaviour], AbstractContextManager[Answerer]]] = {
    "anthropic": anthropic,
    "anthropic, streamed": anthropic_streamed,
    "responses": responses,
}
