"""``backend=python``: what may be named, what it gets, and what it returns."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from lm_eval_so.runner.errors import (
    APIConnectionError,
    BackendFaultError,
    BackendSetupError,
    ConfigError,
    RateLimitError,
)
from lm_eval_so.runner.models import TestSample
from support.python_bots import ask, asked, backend_of, imports_as_before

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

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


def test_an_edit_of_the_same_size_and_second_is_the_one_that_is_asked(
    write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    for said in ("one", "two"):
        reference = write(f"def answer(messages): return {said!r}")
        os.utime(tmp_path / "bot.py", (1_800_000_000, 1_800_000_000))
        assert ask(reference).text == said


SHAPES = {
    "function": "def answer(messages): return messages[-1]['content']",
    "async": "async def answer(messages): return messages[-1]['content']",
    "request by name": "def answer(request): return request.messages[-1]['content']",
    "request by annotation": """
from lm_eval_so import RunRequest
async def answer(asked: RunRequest): return asked.messages[-1]['content']
""",
    "annotation as text": """
from __future__ import annotations
import lm_eval_so
def answer(asked: lm_eval_so.RunRequest): return asked.messages[-1]['content']
""",
    "lambda": "answer = lambda messages, style=None: messages[-1]['content']",
    "class": """
class answer:
    def __init__(self): self.said = 'content'
    def __call__(self, messages): return messages[-1][self.said]
""",
    "object": """
class Bot:
    async def __call__(self, request): return request.messages[-1]['content']
answer = Bot()
""",
    "returns a coroutine": """
async def think(messages): return messages[-1]['content']
def answer(messages): return think(messages)
""",
    "backend": """
from lm_eval_so import ChatBackend, ChatResponse
class answer(ChatBackend):
    async def __aenter__(self):
        self.opened = True
        return self
    async def send(self, request):
        assert self.opened
        return ChatResponse(text=request.messages[-1]['content'])
""",
}


@pytest.mark.parametrize("text", SHAPES.values(), ids=SHAPES)
def test_what_can_be_called_answers(write: Write, text: str) -> None:
    assert ask(write(text)).text == "Where?"


def test_a_method_of_an_installed_module_answers(tmp_path: Path) -> None:
    (tmp_path / "house").mkdir()
    (tmp_path / "house" / "bots.py").write_text(
        "class Desk:\n    def ask(self, messages): return 'Here.'\ndesk = Desk()\n"
    )
    assert ask("house.bots:desk.ask").text == "Here."


def test_a_file_imports_what_is_beside_it(tmp_path: Path, write: Write) -> None:
    (tmp_path / "house_words.py").write_text("PLACE = 'There.'\n")
    assert ask(write("from house_words import PLACE\ndef answer(m): return PLACE")).text == "There."


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        ("'Here.'", {"text": "Here."}),
        ("''", {"text": ""}),
        (
            "{'text': 'Here.', 'finish_reason': 'max_tokens', 'tokens': {'input': 3, 'output': 1}}",
            {"text": "Here.", "finish_reason": "length", "tokens": {"input": 3, "output": 1}},
        ),
        (
            "{'role': 'assistant', 'content': None, 'tool_calls': [{'id': '1'}]}",
            {"text": "", "tool_calls": [{"id": "1"}]},
        ),
        (
            "{'content': 'Here.', 'usage': {'prompt_tokens': 3, 'total_tokens': 4}}",
            {"text": "Here.", "tokens": {"input": 3, "total": 4}},
        ),
        (
            "{'text': 'Here.', 'sources': ['map']}",
            {"text": "Here.", "raw": {"text": "Here.", "sources": ["map"]}},
        ),
    ],
    ids=["text", "empty", "fields", "message", "usage", "more"],
)
def test_what_is_returned_becomes_the_answer(
    write: Write, returned: str, expected: dict[str, Any]
) -> None:
    answer = ask(write(f"def answer(messages): return {returned}"))
    found = answer.model_dump(exclude_none=True)
    assert found == expected


@pytest.mark.parametrize(
    ("returned", "sentence"),
    [
        ("None", "bot.py:answer returned NoneType, and no text, dict or ChatResponse"),
        ("7", "bot.py:answer returned int, and no text, dict or ChatResponse"),
        ("{'sources': []}", "bot.py:answer returned no 'text', but 'sources'"),
        ("{'text': 7}", "bot.py:answer returned what is no answer: text must be a string, got 7"),
    ],
)
def test_what_is_no_answer_is_told(write: Write, returned: str, sentence: str) -> None:
    with pytest.raises(BackendFaultError) as refused:
        ask(write(f"def answer(messages): return {returned}"))
    assert refused.value.message == sentence


def test_what_a_bot_adds_to_the_conversation_is_no_part_of_the_question(write: Write) -> None:
    backend = backend_of(write("def answer(m): m[0]['content'] = m.append({}); return 'Here.'"))
    request = asked(backend)

    async def once() -> None:
        async with backend:
            await backend.send(request)

    asyncio.run(once())
    assert request.messages == asked(backend).messages


def test_the_content_of_the_file_is_part_of_the_identity_and_its_folder_is_not(
    tmp_path: Path, write: Write
) -> None:
    before = backend_of(write("def answer(m): return '1'"))
    (tmp_path / "moved").mkdir()
    (tmp_path / "moved" / "bot.py").write_text("def answer(m): return '1'")
    moved = backend_of(f"{tmp_path}/moved/bot.py:answer")
    edited = backend_of(write("def answer(m): return '2'"))
    assert before.endpoint == moved.endpoint
    assert before.endpoint != edited.endpoint
    assert before.identity_options == {}
    assert backend_of(write("def answer(m): return '2'"), style="terse").identity_options == {
        "style": "terse"
    }


def test_options_of_other_names_are_the_class_s_own(write: Write) -> None:
    text = (
        "from lm_eval_so import ChatBackend, ChatResponse\n"
        "class answer(ChatBackend):\n"
        "    endpoint = 'house'\n"
        "    async def send(self, request):\n"
        "        return ChatResponse(text=str(self.options))\n"
    )
    reference = write(text)
    assert ask(reference, style="terse").text == "{'style': 'terse'}"
    assert backend_of(reference).endpoint.endswith(":house")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("def anser(m): pass", "has no 'answer'; did you mean 'anser'?"),
        ("answer = 7", "is 7, which cannot be called"),
        ("def answer(): pass", "bot.py:answer() must take one argument"),
        ("def answer(messages, style): pass", "must take one argument: the messages, or, called"),
        ("def answer(*, messages): pass", "must take one argument"),
        ("class answer: pass", "is no ChatBackend and has no __call__"),
        ("def answer(m): retrn m", "cannot be loaded: SyntaxError"),
        ("\nmissing()", "cannot be loaded: NameError: name 'missing' is not defined ("),
        ("import sys\nsys.exit(3)", "bot.py cannot be loaded: SystemExit: 3 ("),
        ("import house_of_nobody", "cannot be loaded: ModuleNotFoundError: No module named"),
    ],
)
def test_a_file_that_cannot_answer_is_told_before_anything_is_sent(
    write: Write, text: str, sentence: str
) -> None:
    with pytest.raises(BackendSetupError) as refused:
        backend_of(write(text))
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("bot.py", "backend.options.callable: must be FILE.py:NAME or package.module:NAME"),
        ("bot.py:a b", "backend.options.callable: must be FILE.py:NAME or package.module:NAME"),
        (":answer", "backend.options.callable: must be FILE.py:NAME or package.module:NAME"),
        ("nowhere.py:answer", "backend.options.callable: there is no file /"),
        ("house_of_nobody:answer", "there is no module 'house_of_nobody', installed or in /"),
        ("json.nothing:answer", "there is no module 'json.nothing'"),
    ],
)
def test_a_wrong_reference_is_told_before_anything_is_sent(reference: str, sentence: str) -> None:
    with pytest.raises((ConfigError, BackendSetupError)) as refused:
        backend_of(reference)
    assert sentence in str(refused.value)


def test_errors_of_clients_keep_their_status_and_their_wait(write: Write) -> None:
    text = (
        "class Response:\n    status_code = 429\n    headers = {'Retry-After': '7'}\n"
        "class Busy(Exception):\n    response = Response()\n"
        "def answer(messages): raise Busy('slow down')"
    )
    with pytest.raises(RateLimitError) as refused:
        ask(write(text))
    assert (refused.value.status_code, refused.value.retry_after) == (429, 7)
    assert refused.value.retryable
    lost = "class APIConnectionError(Exception): pass\ndef answer(m): raise APIConnectionError('x')"
    with pytest.raises(APIConnectionError):
        ask(write(lost))


@pytest.mark.parametrize(
    ("kind", "raised"),
    [
        *(("def", name) for name in ("SystemExit(3)", "StopIteration()", "GeneratorExit()")),
        *((kind, "asyncio.CancelledError()") for kind in ("def", "async def")),
        *(("async def", name) for name in ("SystemExit(3)", "GeneratorExit()")),
    ],
)
def test_what_would_end_more_than_a_sample_is_an_error_of_the_sample(
    write: Write, kind: str, raised: str
) -> None:
    with pytest.raises(RuntimeError, match="it raised"):
        ask(write(f"import asyncio\n{kind} answer(messages): raise {raised}"))


def test_what_a_backend_class_says_of_itself_holds(write: Write) -> None:
    named = write(
        """
from lm_eval_so import ChatBackend, ChatResponse
class answer(ChatBackend):
    def sent_of(self, sample): return {"m": sample.metadata}
    def examine(self, messages, parameters): raise ValueError("cannot be sent")
    async def send(self, request): return ChatResponse(text="x")
"""
    )
    backend = backend_of(named)
    assert backend.sends_more
    assert not backend.takes_everything
    sample = TestSample(id="s", messages=[{"role": "user", "content": "q"}], metadata={"k": 1})
    assert backend.sent_of(sample) == {"m": {"k": 1}}
    with pytest.raises(ValueError, match="cannot be sent"):
        backend.examine(sample.messages, {})


def test_a_plain_wrapper_of_a_coroutine_runs_in_a_thread(write: Write) -> None:
    named = write(
        """
import asyncio, functools
def blocking(function):
    @functools.wraps(function)
    def call(messages): return asyncio.run(function(messages))
    return call
@blocking
async def answer(messages): return "from a loop of its own"
"""
    )
    assert ask(named).text == "from a loop of its own"


@pytest.mark.parametrize(
    "returned",
    [
        "{'text': 'hi', 'content': None}",
        "{'content': 'hi', 'text': None}",
        "{'text': 'hi', 'usage': {'prompt_tokens': 1, 'input_tokens': None}}",
    ],
)
def test_a_null_takes_no_place_of_a_value(returned: str, write: Write) -> None:
    found = ask(write(f"def answer(messages): return {returned}"))
    assert found.text == "hi"
    assert found.tokens is None or found.tokens.input == 1


def test_the_wait_of_a_client_whose_error_has_the_headers_is_kept(write: Write) -> None:
    named = write(
        """
import urllib.error
def answer(messages):
    raise urllib.error.HTTPError("http://h", 429, "slow", {"Retry-After": "7"}, None)
"""
    )
    with pytest.raises(RateLimitError) as caught:
        ask(named)
    assert caught.value.retry_after == 7
