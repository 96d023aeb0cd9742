"""``lm-eval-so view`` in a process of its own, and a run beside it that goes on as it is told."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import time
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

from conftest import program

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import TracebackType

T = TypeVar("T")

_PATIENCE = 60.0  # seconds until something is there, on a machine that others use

_BOT = """
import asyncio, pathlib

GATE = pathlib.Path(__file__).with_name("gate")


async def answer(messages):
    number = messages[-1]["content"].split()[1]
    while number not in GATE.read_text().split():
        await asyncio.sleep(0.02)
    return "answer " + number
"""


class Answer(NamedTuple):
    """What the server answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - any JSON value
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class Viewer:
    """Serves a folder until the context ends.

    Attributes:
        printed: The line that names the URL.
        page: The path that it names.
    """

    def __init__(self, folder: Path, cache: Path, *arguments: str) -> None:
        self._command = [*program(), "view", str(folder), "--port", "0", *arguments]
        self._env = {**os.environ, "XDG_CACHE_HOME": str(cache)}

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            self._command,
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.printed = self.process.stdout.readline()
        if " at http://" not in self.printed:
            raise AssertionError(self.process.communicate())
        url = self.printed.partition(" at http://")[2].split()[0]
        self.address, _, path = url.partition("/")
        self.page = f"/{path}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        _, self.said = self.process.communicate()
        assert "Traceback" not in self.said, self.said

    def ask(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """Sends a request as it is given: nothing in the path is tidied."""
        connection = http.client.HTTPConnection(self.address, timeout=_PATIENCE)
        connection.putrequest(method, path, skip_host=True)
        for name, value in {"Host": self.address, **headers}.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        found = Answer(answer.status, dict(answer.getheaders()), answer.read())
        connection.close()
        return found

    def get(self, path: str) -> Any:  # noqa: ANN401 - any JSON value
        """The JSON at a path, once the results have been read."""
        answer = until(lambda: self.ask(path), lambda answer: answer.status != 503)
        assert answer.status == 200, (path, answer)
        return answer.json

    def boards(self) -> list[str]:
        """The addresses of the boards, in the order of the list."""
        return re.findall(r'href="(/board/[^"]+)"', self.ask("/").text)

    def end(self, number: signal.Signals) -> int:
        """Sends a signal, and returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(_PATIENCE)


class Run:
    """A run of questions ``0`` to ``count`` - 1, which are answered when `allow` says so."""

    def __init__(self, folder: Path, count: int) -> None:
        self._gate, self._count = folder / "gate", count
        self._gate.write_text("")
        (folder / "gated_bot.py").write_text(_BOT)
        dataset = folder / "gated.jsonl"
        messages = ([{"role": "user", "content": f"question {n}"}] for n in range(count))
        samples = ({"id": f"s{n}", "messages": each} for n, each in enumerate(messages))
        dataset.write_text("".join(json.dumps(sample) + "\n" for sample in samples))
        self.directory = folder / "outputs" / "gated"
        self._command = [
            *(*program(), "backend=python", "model=m", "runner.progress=none"),
            f"backend.options.callable={folder / 'gated_bot.py'}:answer",
            f"runner.max_concurrency={count}",
            *("dataset=path", f"dataset.path={dataset}", f"output_dir={self.directory}"),
        ]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait()

    def start(self) -> None:
        """Begins the run, or goes on."""
        self.process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        metadata = self.directory / "run_metadata.json"
        until(
            lambda: metadata.is_file() and json.loads(metadata.read_bytes())["state"] == "running",
            bool,
        )

    def allow(self, numbers: Sequence[int]) -> None:
        """Has these questions answered one after the other, and waits for the lines."""
        for number in numbers:
            fresh = self._gate.with_name("gate.new")
            fresh.write_text(f"{self._gate.read_text()} {number}")
            fresh.replace(self._gate)
            until(lambda: self.lines, partial(_has, f'"answer {number}"'))

    def finish(self) -> None:
        """Waits for the end of the run."""
        assert self.process.wait(_PATIENCE) == 0

    @property
    def lines(self) -> str:
        """The results file."""
        path = self.directory / "run_results.jsonl"
        return path.read_text() if path.is_file() else ""


def _has(text: str, lines: str) -> bool:
    return text in lines


def until(look: Callable[[], T], is_it: Callable[[T], object]) -> T:
    """What is there, as soon as it is right."""
    end = time.monotonic() + _PATIENCE
    while not is_it(found := look()):
        assert time.monotonic() < end, found
        time.sleep(0.05)
    return found
