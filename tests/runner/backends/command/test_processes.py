"""``backend=command``: bounded in time and output, and nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from conftest import program, rows
from lm_eval_so.runner.errors import AnswerTooLongError, CommandFailedError, InvalidResponseError
from lm_eval_so.runner.hydra_app.app import main
from support.command_bots import ask, asked, backend_of, is_alive, script
from support.patience import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lm_eval_so.runner.models import ChatResponse

RUN = ["backend=command", "output_dir=run", "runner.max_retries=0", "runner.max_concurrency=4"]
BAD = """
import json, os, sys, time
from pathlib import Path

question = json.loads(sys.stdin.readline())["messages"][-1]["content"]
with open("pids", "a") as file:
    file.write(f"{os.getpid()}\\n")
if question == "question 1":
    time.sleep(1000)
elif question == "question 2":
    while True:
        os.write(1, b"x" * 1_000_000)
elif question == "question 3":
    for _ in range(3):
        if os.fork() == 0:
            with open("pids", "a") as file:
                file.write(f"{os.getpid()}\\n")
            time.sleep(1000)
    time.sleep(1000)
print("Here.")
"""


def noted(folder: Path) -> list[int]:
    path = folder / "pids"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def test_programs_that_hang_flood_or_fork_cost_a_sample_each_and_leave_nothing(
    make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    words = ",".join(script(tmp_path, BAD))
    options = [f"backend.options.command=[{words}]", "runner.timeout=20"]  # its start is part of it
    options += ["runner.log_level=WARNING"]
    target = [f"dataset.path={make_dataset(8)}", "runner.max_response_mb=5"]
    assert main([*RUN, *options, *target]) == 1
    lines = rows(tmp_path / "run" / "run_results.jsonl")
    failed = {line["sample_id"]: line["error"]["error_type"] for line in lines if line["error"]}
    assert failed == {
        "s1": "APITimeoutError",
        "s2": "AnswerTooLongError",
        "s3": "APITimeoutError",
    }
    assert [line["response"]["text"] for line in lines if line["response"]] == ["Here."] * 5
    pids = noted(tmp_path)
    assert len(pids) == 11
    assert [pid for pid in pids if is_alive(pid)] == []


def test_what_it_leaves_in_the_background_ends_with_it_and_delays_no_answer(
    tmp_path: Path,
) -> None:
    pid = tmp_path / "pid"
    found = ask(["sh", "-c", f"sleep 1000 & echo $! > {pid}; echo Here."])
    assert found.text == "Here."
    wait_for(lambda: not is_alive(int(pid.read_text())))


def test_what_leaves_its_group_holds_no_answer_back(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    command = ["sh", "-c", f"setsid sh -c 'echo $$ > {pid}; exec sleep 1000' & echo Here."]
    command[-1] += f"; while [ ! -s {pid} ]; do sleep 0.01; done"
    try:
        assert ask(command).text == "Here."
    finally:
        with suppress(ProcessLookupError):
            os.kill(int(pid.read_text()), signal.SIGKILL)


def test_a_long_question_to_a_program_that_does_not_read_is_no_error() -> None:
    backend = backend_of(["sh", "-c", "echo Here."])
    question = [{"role": "user", "content": "x" * 3_000_000}]

    async def once() -> ChatResponse:
        async with backend:
            return await backend.send(asked(backend, question))

    assert asyncio.run(once()).text == "Here."


def test_a_long_question_and_a_long_answer_pass_each_other() -> None:
    backend = backend_of(["cat"])
    question = [{"role": "user", "content": "x" * 3_000_000}]

    async def once() -> ChatResponse:
        async with backend:
            return await backend.send(asked(backend, question))

    assert len(asyncio.run(once()).text) > 3_000_000


def test_of_a_flood_on_stderr_the_end_is_kept() -> None:
    flood = "head -c 30000000 /dev/zero | tr '\\0' x >&2; echo >&2; echo 'the end' >&2; exit 1"
    with pytest.raises(CommandFailedError, match=r"exit code 1: the end$") as failed:
        ask(["sh", "-c", flood])
    assert failed.value.details is not None
    assert len(failed.value.details["stderr"]) <= 8_000


@pytest.mark.parametrize("mode", ["once", "persistent"])
@pytest.mark.parametrize("signals", [1, 2])
def test_ctrl_c_lets_it_answer_and_a_second_one_ends_it(
    make_dataset: Callable[..., Path], tmp_path: Path, mode: str, signals: int
) -> None:
    """The terminal sends Ctrl-C to all processes of its foreground group."""
    text = (
        "import json, os, sys, time\nfrom pathlib import Path\n"
        "with open('pids', 'a') as file: file.write(f'{os.getpid()}\\n')\n"
        "for line in sys.stdin:\n"
        "    while not Path('go').exists(): time.sleep(0.01)\n"
        "    print(json.dumps({'text': 'Here.'}), flush=True)\n"
    )
    words = ",".join(script(tmp_path, text))
    options = [f"backend.options.command=[{words}]", "backend.options.output=json"]
    options += ["backend.options.persistent=jsonl"] if mode == "persistent" else []
    process = subprocess.Popen(
        [*program(), *RUN, *options, f"dataset.path={make_dataset(20)}"],
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_for(lambda: len(noted(tmp_path)) == 4)
    for _ in range(signals):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.3)
    if signals == 1:
        (tmp_path / "go").touch()
    assert process.wait(60) == 130
    lines = rows(tmp_path / "run" / "run_results.jsonl")
    assert len(lines) == (4 if signals == 1 else 0)
    assert [pid for pid in noted(tmp_path) if is_alive(pid)] == []


COUNTS = """
import json, os, sys, time

asked = 0
for line in sys.stdin:
    question = json.loads(line)
    asked += 1
    what = question["messages"][-1]["content"]
    if what == "die":
        sys.exit("out of memory")
    if what == "hang":
        time.sleep(1000)
    if what == "flood":
        print("x" * 3_000_000)
    told = {"text": f"{os.getpid()} {asked}", "id": "x" if what == "mix up" else question["id"]}
    print("debug" if what == "chat" else json.dumps(told), flush=True)
    if what == "twice":
        print(json.dumps(told), flush=True)
"""


def conversation(folder: Path, *questions: str) -> list[str | Exception]:
    """What a persistent program says to one question after another."""
    backend = backend_of(script(folder, COUNTS), persistent="jsonl")
    backend.longest_answer = 1_000_000

    async def one(content: str) -> str | Exception:
        try:
            async with asyncio.timeout(2 if content == "hang" else 60):
                request = asked(backend, [{"role": "user", "content": content}])
                return (await backend.send(request)).text
        except Exception as error:  # noqa: BLE001 - it is what is looked at
            return error

    async def all_of_them() -> list[str | Exception]:
        async with backend:
            return [await one(question) for question in questions]

    said = asyncio.run(all_of_them())
    pids = {int(text.split()[0]) for text in said if isinstance(text, str)}
    assert [pid for pid in pids if is_alive(pid)] == []
    return said


def test_one_process_answers_line_after_line(tmp_path: Path) -> None:
    said = [str(text).split() for text in conversation(tmp_path, "1", "2", "3")]
    assert len({pid for pid, _ in said}) == 1
    assert [count for _, count in said] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("question", "kind", "words"),
    [
        ("die", CommandFailedError, "exit code 1: out of memory"),
        ("hang", TimeoutError, ""),
        ("flood", AnswerTooLongError, "printed more than 1 MB"),
        ("mix up", InvalidResponseError, "the id of another question"),
    ],
)
def test_a_process_that_did_not_answer_is_replaced(
    tmp_path: Path, question: str, kind: type[Exception], words: str
) -> None:
    before, error, after = conversation(tmp_path, "1", question, "2")
    assert isinstance(error, kind)
    assert words in str(error)
    assert str(before).split()[0] != str(after).split()[0]
    assert str(after).endswith(" 1")


def test_a_line_that_is_no_json_is_an_error(tmp_path: Path) -> None:
    error, _ = conversation(tmp_path, "chat", "2")
    assert "the output is no JSON, but: debug" in str(error)


def test_what_it_says_unasked_is_no_answer(tmp_path: Path) -> None:
    backend = backend_of(script(tmp_path, COUNTS), persistent="jsonl")

    async def one(content: str) -> str:
        return (await backend.send(asked(backend, [{"role": "user", "content": content}]))).text

    async def several() -> list[str]:
        async with backend:
            first = await one("twice")
            (process,) = backend._processes._free
            while not process.output:
                await asyncio.sleep(0.001)
            return [first, await one("2")]

    first, second = asyncio.run(several())
    assert second.split()[0] != first.split()[0]


def test_there_are_no_more_processes_than_questions_at_once(tmp_path: Path) -> None:
    backend = backend_of(script(tmp_path, COUNTS), persistent="jsonl")
    slots = asyncio.Semaphore(3)

    async def one() -> str:
        async with slots:
            return (await backend.send(asked(backend))).text

    async def many() -> list[str]:
        async with backend:
            return await asyncio.gather(*(one() for _ in range(30)))

    said = asyncio.run(many())
    assert len({text.split()[0] for text in said}) == 3
