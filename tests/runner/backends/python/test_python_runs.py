"""``backend=python``: threads, faults and whole runs."""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from conftest import rows
from lm_eval_so.runner.hydra_app.app import main
from support.python_bots import asked, backend_of, imports_as_before

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lm_eval_so.runner.models import ChatResponse

    Write = Callable[[str], str]


@pytest.fixture(autouse=True)
def _imports_as_before() -> Iterator[None]:
    with imports_as_before():
        yield


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes ``bot.py``, and says how to name its ``answer``."""

    def as_bot(text: str) -> str:
        (tmp_path / "bot.py").write_text(text)
        return f"{tmp_path}/bot.py:answer"

    return as_bot


def test_a_function_that_hangs_takes_no_thread_from_others_and_keeps_no_run(write: Write) -> None:
    text = (
        "import threading\nreleased, names = threading.Event(), []\n"
        "def answer(messages):\n"
        "    names.append(threading.current_thread().name)\n"
        "    if messages[0]['content'] == 'hang': released.wait()\n"
        "    return 'Here.'\n"
    )
    backend = backend_of(write(text))
    module = sys.modules[backend._source.found.__module__]

    async def several() -> list[str]:
        async with backend:
            hung = [asyncio.create_task(backend.send(asked(backend, "hang"))) for _ in range(3)]
            while len(module.names) < 3:
                await asyncio.sleep(0.001)
            for task in hung:
                task.cancel()
            await asyncio.wait(hung)
            return [(await backend.send(asked(backend))).text for _ in range(5)]

    assert asyncio.run(several()) == ["Here."] * 5
    others = set(module.names[3:])
    assert len(others) == 1, "one free thread is used again"
    left = [thread for thread in threading.enumerate() if thread.name in module.names]
    assert left
    assert all(thread.daemon for thread in left)
    module.released.set()
    for thread in left:
        thread.join(100)
        assert not thread.is_alive()


def test_as_many_threads_as_questions_at_once(write: Write) -> None:
    text = (
        "import threading\nbarrier = threading.Barrier(40)\n"
        "def answer(messages):\n    barrier.wait(60)\n    return 'Here.'\n"
    )
    backend = backend_of(write(text))

    async def all_at_once() -> list[ChatResponse]:
        async with backend:
            return await asyncio.gather(*(backend.send(asked(backend)) for _ in range(40)))

    assert len(asyncio.run(all_at_once())) == 40, "none waits for another's thread"


FAULTY = """
def deep(question):
    raise ValueError(f"no answer to {question}")

def answer(messages):
    question = messages[-1]["content"]
    return deep(question) if question in ("question 0", "question 20") else question
"""


def test_what_it_raises_is_that_sample_s_error_with_the_traceback(
    write: Write, make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    command = [
        *("backend=python", f"backend.options.callable={write(FAULTY)}", "output_dir=run"),
        f"dataset.path={make_dataset(30)}",
    ]
    assert main(command) == 1
    failed = [line for line in rows(tmp_path / "run/run_results.jsonl") if line["error"]]
    assert [line["sample_id"] for line in failed] == ["s0", "s20"]
    error = failed[1]["error"]
    assert error["error_type"] == "BackendFaultError"
    assert error["message"].startswith("the backend broke: ValueError: no answer to question 20 (")
    assert error["details"]["traceback"].endswith("ValueError: no answer to question 20\n")
    assert "in deep" in error["details"]["traceback"]
    assert "threads.py" not in error["details"]["traceback"], "from the user's code on"


def test_what_every_sample_meets_ends_the_run_with_what_to_do(
    write: Write, make_dataset: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> None:
    reference = write("def answer(messages): return messages[7]")
    command = ["backend=python", f"backend.options.callable={reference}", "output_dir=run"]
    assert main([*command, f"dataset.path={make_dataset(300)}"]) == 2
    told = capfd.readouterr().err
    assert "the backend broke: IndexError: list index out of range (" in told
    assert "mend bot.py:answer; run.log has the traceback" in told


def test_an_edited_file_is_asked_in_a_directory_of_its_own(
    write: Write, make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    def go(text: str) -> None:
        command = ["backend=python", f"backend.options.callable={write(text)}"]
        assert main([*command, f"dataset.path={make_dataset(3)}", "output_root=out"]) == 0

    first = "import house_count\ndef answer(m): house_count.asked.append(1); return '1'"
    (tmp_path / "house_count.py").write_text("asked = []\n")
    go(first)
    go(first)
    assert len(sys.modules["house_count"].asked) == 3
    go(first.replace("'1'", "'2'"))
    assert len(sys.modules["house_count"].asked) == 6
    found = sorted(tmp_path.glob("out/*/*/run_results.jsonl"))
    texts = {row["response"]["text"] for path in found for row in rows(path)}
    assert (len(found), texts) == (2, {"1", "2"})


def test_a_missing_callable_is_one_sentence(
    make_dataset: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["backend=python", f"dataset.path={make_dataset(1)}"]) == 2
    assert capfd.readouterr().err.startswith(
        "error: backend.options.callable is missing; set backend.options.callable=..."
    )


def test_a_key_in_a_traceback_is_in_no_file(
    write: Write,
    make_dataset: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = "sk-0123456789-of-nobody"
    monkeypatch.setenv("BOT_API_KEY", key)
    told = "if '0' in m[0]['content']: raise ValueError(os.environ['BOT_API_KEY'])"
    reference = write(f"import os\ndef answer(m):\n    {told}\n    return 'Here.'")
    command = ["backend=python", f"backend.options.callable={reference}", "output_dir=run"]
    assert main([*command, f"dataset.path={make_dataset(3)}"]) == 1
    (failed,) = (line for line in rows(tmp_path / "run/run_results.jsonl") if line["error"])
    assert failed["error"]["details"]["traceback"].endswith("ValueError: ***\n")
    files = [path.read_bytes() for path in (tmp_path / "run").iterdir()]
    assert not [content for content in files if key.encode() in content]
