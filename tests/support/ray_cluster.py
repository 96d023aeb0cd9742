"""A Ray cluster of nodes on this machine, and runs on it."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from conftest import descendants
from support.patience import PATIENCE_S, wait_for

if TYPE_CHECKING:
    from support.fake_openai import FakeOpenAI

WORKER = "ray::WorkerActor"


class Cluster:
    """Two nodes of one CPU each, with a token of their own; more may join.

    Attributes:
        folder: Everything that Ray writes is in it.
        address: For ``engine.address``.
    """

    def __init__(self) -> None:
        self.folder = Path(
            tempfile.mkdtemp(prefix="r", dir="/tmp")
        )  # paths of sockets have to be short
        token = self.folder / "token"
        token.write_text(secrets.token_hex(32))
        self.env = {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "RAY_health_check_period_ms": "1000",  # a node is given up after five
            "RAY_worker_niceness": "0",  # 15 would leave them next to nothing of a busy machine
        }
        self.nodes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self._begin("--head", "--port=0", "--include-dashboard=false")
        found = self.folder / "n0" / "ray_current_cluster"
        wait_for(lambda: found.exists() and found.read_text())
        self.address = found.read_text().strip()
        self.add_node()
        return self

    def __exit__(self, *_: object) -> None:
        for node in reversed(self.nodes):
            end(node)
        shutil.rmtree(self.folder, ignore_errors=True)

    def add_node(self) -> subprocess.Popen[bytes]:
        """Another node; it is there when this returns."""
        node = self._begin(f"--address={self.address}")
        log = self._log(len(self.nodes) - 1)
        wait_for(lambda: "Ray runtime started" in log.read_text())
        return node

    def workers(self, *nodes: subprocess.Popen[bytes]) -> list[int]:
        """The processes of workers on these nodes; on all if none is named."""
        found = [pid for node in nodes or self.nodes for pid in descendants(node.pid)]
        return [pid for pid in found if command_line(pid).startswith(WORKER)]

    def _begin(self, *how: str) -> subprocess.Popen[bytes]:
        number = len(self.nodes)
        with self._log(number).open("wb") as log:
            node = subprocess.Popen(
                [
                    *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *how),
                    *("--node-ip-address=127.0.0.1", "--num-cpus=1", "--disable-usage-stats"),
                    *("--object-store-memory=80000000", f"--temp-dir={self.folder}/n{number}"),
                ],
                env={**os.environ, **self.env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.nodes.append(node)
        return node

    def _log(self, number: int) -> Path:
        return self.folder / f"{number}.log"


class Driver:
    """A run in a process of its own.

    Args:
        arguments: Of the command line.
        env: Variables that it gets beside ours.
    """

    def __init__(self, arguments: list[str], env: dict[str, str]) -> None:
        self._said = tempfile.NamedTemporaryFile()  # noqa: SIM115 - closed at the end
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lm_eval_so", *arguments],
            env={**os.environ, **env},
            stdout=self._said,
            stderr=subprocess.STDOUT,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        end(self.process)
        self._said.close()

    @property
    def said(self) -> str:
        """What it has written to the terminal."""
        return Path(self._said.name).read_text()

    def wait(self) -> int:
        """Its exit code."""
        return self.process.wait(PATIENCE_S)

    def until_asked(self, server: FakeOpenAI, count: int) -> None:
        """Returns once the server has got so many questions."""
        wait_for(lambda: len(server.requests) >= count or self.process.poll() is not None)
        assert self.process.poll() is None, self.said


def end(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    """Ends a process, and what it began."""
    if process.poll() is not None:
        return
    begun = descendants(process.pid)
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(10)
    for pid in (process.pid, *begun):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def command_line(pid: int) -> str:
    """Empty for a process that is gone, or waits for its parent to see that."""
    try:
        return (
            Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        )
    except (FileNotFoundError, ProcessLookupError):
        return ""
