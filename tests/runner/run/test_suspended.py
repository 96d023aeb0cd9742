"""A process that is stopped for longer than its timeout, as by Ctrl-Z, and goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from conftest import program, rows
from support.fake_openai import FakeOpenAI, Reply

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SAMPLES = 40
TIMEOUT = 8


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("answers_take", [0.5, 6.0], ids=["early", "just-in-time"])
def test_answers_that_lie_in_the_socket_are_not_asked_for_again(
    make_dataset: Callable[..., Path], tmp_path: Path, answers_take: float, *, streamed: bool
) -> None:
    command = [
        *program(),
        *("backend=openai", "model=m", "dataset=path", f"dataset.path={make_dataset(SAMPLES)}"),
        *(f"runner.timeout={TIMEOUT}", f"runner.max_concurrency={SAMPLES}", "output_dir=run"),
        *(["params.stream=true"] if streamed else []),
    ]
    with FakeOpenAI(lambda _received, _nth: Reply(latency=answers_take)) as server:
        process = subprocess.Popen(
            command,
            env={**os.environ, **server.env},
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        while len(server.requests) < SAMPLES:
            time.sleep(0.005)
        process.send_signal(signal.SIGSTOP)
        while sum(server.answered.values()) < SAMPLES:
            time.sleep(0.05)
        time.sleep(TIMEOUT + 1)
        process.send_signal(signal.SIGCONT)
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 0, stderr
        assert len(server.requests) == SAMPLES
    assert {row["status"] for row in rows(tmp_path / "run" / "run_results.jsonl")} == {"ok"}
