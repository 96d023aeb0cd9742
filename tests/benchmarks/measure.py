"""What benchmarks are made of: a fake provider, commands that are measured as a whole, a figure."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
OUTCOMES = (0, 1, 2, 130)  # exit codes of a run that has left its metadata


@dataclass(frozen=True)
class Figure:
    """A line of the table."""

    what: str
    measured: str
    bound: str
    met: bool

    @property
    def line(self) -> str:
        verdict = "ok   " if self.met else "SHORT"
        return f"{verdict} {self.what}: {self.measured} ({self.bound})"


@dataclass(frozen=True)
class Cost:
    """What a process and its children took: seconds of CPU and of time, peak memory in MB."""

    cpu_s: float
    wall_s: float
    peak_mb: float


@dataclass(frozen=True)
class Provider:
    """A running fake provider.

    Attributes:
        port: Where it takes questions.
        stats_port: Where it tells what it has seen.
    """

    port: int
    stats_port: int

    @property
    def env(self) -> dict[str, str]:
        """What a client needs in its environment."""
        return {"OPENAI_BASE_URL": self.base_url, "OPENAI_API_KEY": "sk-0123456789"}

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def behind(self, port: int) -> Provider:
        """The same, as it is reached through a proxy on ``port``."""
        return replace(self, port=port)

    def stats(self) -> dict[str, Any]:
        """What `Books.report` gives."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.stats_port}/stats") as answer:
            return json.load(answer)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Run:
    """A command of ours that has ended.

    Attributes:
        code: Its exit code.
        metadata: ``run_metadata.json``.
    """

    cost: Cost
    code: int
    metadata: dict[str, Any]

    @property
    def not_ok(self) -> int:
        """Samples that failed or are still owed."""
        counts: dict[str, int] = self.metadata["summary"]["status_counts"]
        return sum(counts.values()) - counts.get("ok", 0)


@dataclass(frozen=True)
class Served:
    """A run, and what the provider saw of it."""

    run: Run
    stats: dict[str, Any]

    @property
    def rate(self) -> float:
        """Answers a second, from the first request to the last answer."""
        rate: float = self.stats["answers"]["per_s"]
        return rate

    def share(self, status: int) -> float:
        """Of the requests, how many got this status."""
        share: float = self.stats["statuses"].get(str(status), 0) / self.stats["requests"]
        return share

    @property
    def outcome(self) -> str:
        """How a line of the table ends: whether all samples have an answer."""
        return f"; {self.run.not_ok} samples not ok" if self.run.not_ok else ""


@contextmanager
def provider(**behaviour: Any) -> Iterator[Provider]:  # noqa: ANN401 - a field's own type
    """Starts ``server.py``; keywords are the fields of its `Behaviour`."""
    with subprocess.Popen(
        [sys.executable, HERE / "server.py", json.dumps(behaviour)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Provider(*map(int, process.stdout.readline().split()))
        finally:
            process.stdin.close()


def cost(
    *command: object,
    env: Mapping[str, str] | None = None,
    codes: tuple[int, ...] = (0,),
    at_most_s: float | None = None,
    started: Callable[[int], object] | None = None,
) -> tuple[Cost, int]:
    """Runs a command, and gives what it took and its exit code.

    Args:
        command: The program and its arguments.
        env: Variables beside those of this process.
        codes: Exit codes that are no fault.
        at_most_s: Seconds after which it gets a SIGINT.
        started: Is given the number of the process.

    Raises:
        RuntimeError: Another exit code; the message is the command's output.
    """
    began = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            env={**os.environ, **(env or {})},
            stdout=output,
            stderr=output,
        )
        if started:
            started(process.pid)
        patience = threading.Timer(at_most_s or 0, process.send_signal, [signal.SIGINT])
        if at_most_s:
            patience.start()
        _, status, usage = os.wait4(process.pid, 0)
        patience.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in codes:
            output.seek(0)
            raise RuntimeError(output.read().decode())
    wall = time.perf_counter() - began
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024), process.returncode


def aged(path: Path) -> Path:
    """The file, as if it were a minute old: the check of a newer one is not remembered."""
    then = time.time() - 60
    os.utime(path, (then, then))
    return path


class Bench:
    """Runs commands in a folder that goes away."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = 0

    def dataset(self, count: int, *, uneven: bool = False) -> Path:
        """Samples; ``uneven`` ones are of very different lengths."""
        path = self.folder / f"{count}{'-uneven' * uneven}.jsonl"
        chance = random.Random(3)
        if not path.exists():
            with path.open("w") as file:
                for n in range(count):
                    words = int(chance.lognormvariate(4, 1)) if uneven else 5
                    messages = [{"role": "user", "content": f"question {n} " + "word " * words}]
                    file.write(json.dumps({"id": f"s{n}", "messages": messages}) + "\n")
            aged(path)
        return path

    def ours(
        self,
        dataset: Path,
        server: Provider,
        *overrides: str,
        run: str = "",
        **how: Any,  # noqa: ANN401 - an argument's own type
    ) -> Run:
        """One run by the command line, with the default config but for the ``overrides``.

        Args:
            dataset: Its samples.
            server: Who answers.
            overrides: Of the config.
            run: The name of the run directory; a new one if empty.
            how: ``at_most_s`` and ``started`` of `cost`; a run that is stopped keeps what it has.
        """
        self.runs += 1
        output = self.folder / (run or str(self.runs))
        spent, code = cost(
            *(BIN / "lm-eval-so", "backend=openai", "model=fake"),
            *("dataset=path", f"dataset.path={dataset}", f"output_dir={output}"),
            *(f"output_root={self.folder}", *overrides),
            env=server.env,
            codes=OUTCOMES,
            **how,
        )
        return Run(spent, code, json.loads((output / "run_metadata.json").read_text()))

    def served(
        self,
        count: int,
        *overrides: str,
        uneven: bool = False,
        at_most_s: float | None = None,
        **behaviour: Any,  # noqa: ANN401 - a field's own type
    ) -> Served:
        """``count`` samples answered by a provider of their own."""
        dataset = self.dataset(count, uneven=uneven)
        with provider(**behaviour) as server:
            run = self.ours(dataset, server, *overrides, at_most_s=at_most_s)
            return Served(run, server.stats())
