"""One of each kind of backend, with what answers it: the table of what all backends must keep."""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from support.answerer import LATENCY, SECRET, Answerer, Behaviour
from support.fake_openai import FakeOpenAI, Received, Reply, echo
from support.http_answerers import HTTP_ANSWERERS
from support.wire_answerers import WIRE_ANSWERERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path


def _reply(behaviour: Behaviour) -> Callable[[Received, int], Reply]:
    def behave(received: Received, _: int) -> Reply:
        if behaviour == "refuses":
            return Reply(status=401, text="the key is wrong")
        told = f" {SECRET}" if behaviour == "tells" else ""
        return Reply(text=echo(received.question) + told, latency=LATENCY)

    return behave


@contextmanager
def openai(_: Path, behaviour: Behaviour) -> Iterator[Answerer]:
    with FakeOpenAI(_reply(behaviour)) as server:
        yield Answerer(
            ["backend=openai", "model=m"],
            {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": SECRET},
            lambda: [received.question for received in server.requests],
        )


@contextmanager
def pool(_: Path, behaviour: Behaviour) -> Iterator[Answerer]:
    with ExitStack() as stack:
        servers = [stack.enter_context(FakeOpenAI(_reply(behaviour))) for _ in range(2)]
        addresses = ",".join(server.base_url for server in servers)
        yield Answerer(
            ["backend=openai", "model=m", f"backend.options.base_url=[{addresses}]"],
            {"OPENAI_API_KEY": SECRET},
            lambda: [received.question for server in servers for received in server.requests],
        )


BOT = """
import json, os, sys, time

class Refused(Exception):
    status_code = 401

def answer(messages):
    question = messages[-1]["content"]
    with open({asked!r}, "a") as file:
        file.write(json.dumps(question) + "\\n")
    time.sleep({latency})
    if {behaviour!r} == "refuses":
        raise Refused("the key is wrong: " + os.environ["BOT_KEY"])
    return "echo: " + question + (" " + os.environ["BOT_KEY"]) * ({behaviour!r} == "tells")

if __name__ == "__main__":
    for line in sys.stdin:
        try:
            said = {{"text": answer(json.loads(line)["messages"])}}
        except Refused as error:
            said = {{"error": str(error)}}
        print(json.dumps(said), flush=True)
"""
SHELL = """#!/bin/sh
read -r question || exit 1
echo "\\"$question\\"" >> {asked}
sleep {latency}
case {behaviour} in
  echoes) echo "echo: $question" ;;
  tells) echo "echo: $question $BOT_KEY" ;;
  *) echo "the key is wrong: $BOT_KEY" >&2; exit 1 ;;
esac
"""


def _script(folder: Path, name: str, text: str, behaviour: Behaviour) -> tuple[Path, Path]:
    """A program, and the file that it notes its questions in."""
    path, asked = folder / name, folder / "asked"
    asked.touch()
    path.write_text(text.format(asked=str(asked), latency=LATENCY, behaviour=behaviour))
    path.chmod(0o755)
    return path, asked


def _noted(asked: Path) -> Callable[[], list[str]]:
    return lambda: [json.loads(line) for line in asked.read_text().splitlines()]


@contextmanager
def python(folder: Path, behaviour: Behaviour) -> Iterator[Answerer]:
    path, asked = _script(folder, "bot.py", BOT, behaviour)
    arguments = ["backend=python", f"backend.options.callable={path}:answer"]
    yield Answerer(arguments, {"BOT_KEY": SECRET}, _noted(asked))


@contextmanager
def command(folder: Path, behaviour: Behaviour) -> Iterator[Answerer]:
    path, asked = _script(folder, "bot.sh", SHELL, behaviour)
    options = ["input=last_user", f"command=[{path}]", "env=[BOT_KEY]"]
    arguments = ["backend=command", *(f"backend.options.{option}" for option in options)]
    yield Answerer(arguments, {"BOT_KEY": SECRET}, _noted(asked))


@contextmanager
def persistent(folder: Path, behaviour: Behaviour) -> Iterator[Answerer]:
    path, asked = _script(folder, "bot.py", BOT, behaviour)
    options = ["persistent=jsonl", f"command=[{sys.executable},{path}]", "env=[BOT_KEY]"]
    arguments = ["backend=command", *(f"backend.options.{option}" for option in options)]
    yield Answerer(arguments, {"BOT_KEY": SECRET}, _noted(asked))


ANSWERERS: dict[str, Callable[[Path, Behaviour], AbstractContextManager[Answerer]]] = {
    **HTTP_ANSWERERS,
    **WIRE_ANSWERERS,
    "openai": openai,
    "pool": pool,
    "python": python,
    "command": command,
    "command, persistent": persistent,
}


def environment(answerer: Answerer) -> dict[str, str]:
    """The variables of a process with this backend."""
    return {**os.environ, **answerer.env}
