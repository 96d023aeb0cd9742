"""The example's chatbot is asked by a config of six lines, with its sessions, and as a stream."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from conftest import REPOSITORY, rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FOLDER = REPOSITORY / "example" / "http_bot"
CONF = FOLDER / "conf"


@pytest.fixture
def address() -> Iterator[str]:
    """The bot, in a process of its own on a free port."""
    process = subprocess.Popen(
        [sys.executable, str(FOLDER / "bot.py"), "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert "Running on http://" in line
        yield line.split("Running on ")[1].split()[0]
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def ask(
    command: Callable[..., subprocess.CompletedProcess[str]], backend: str, url: str, *more: str
) -> subprocess.CompletedProcess[str]:
    given = [f"--config-dir={CONF}", f"backend={backend}", f"backend.options.url={url}"]
    return command(*given, "output_dir=run", *more, env={"MY_BOT_KEY": "key-0123456789"})


def test_the_config_has_six_lines_and_no_python() -> None:
    assert len((CONF / "backend" / "my_bot.yaml").read_text().splitlines()) == 6


def test_six_lines_ask_my_own_bot(
    address: str,
    command: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    done = ask(command, "my_bot", f"{address}/chat")
    assert done.returncode == 0, done.stderr
    assert "3 ok" in done.stdout
    found = rows(tmp_path / "run" / "run_results.jsonl")
    for row in found:
        question = row["request_messages"][-1]["content"]
        assert row["response"]["text"] == f"You said: {question}"


def test_a_conversation_goes_on_where_the_bot_keeps_it(
    address: str,
    command: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    turns = ["one", "1", "two", "2", "three"]
    roles = ["user", "assistant"]
    messages = [{"role": roles[at % 2], "content": text} for at, text in enumerate(turns)]
    (tmp_path / "q.jsonl").write_text(json.dumps({"id": "c", "messages": messages}) + "\n")
    done = ask(
        command, "my_bot_sessions", f"{address}/chat", "dataset=path", "dataset.path=q.jsonl"
    )
    assert done.returncode == 0, done.stderr
    (row,) = rows(tmp_path / "run" / "run_results.jsonl")
    assert row["response"]["text"] == "You said: three You told me 2 things before."
    assert row["response"]["tokens"] == {"input": 1, "output": 9, "total": 10}
    assert json.loads((tmp_path / "run" / "spent.json").read_text())["requests"] == 3


def test_a_stream_tells_the_time_to_its_first_token(
    address: str,
    command: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    done = ask(command, "my_bot_stream", f"{address}/stream")
    assert done.returncode == 0, done.stderr
    for row in rows(tmp_path / "run" / "run_results.jsonl"):
        assert row["response"]["text"].startswith("You said: ")
        assert row["response"]["time_to_first_token_ms"] > 0
        assert row["response"]["tokens"]["output"] > 0
