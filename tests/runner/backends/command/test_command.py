"""``backend=command``: what it gets, what it says, and what that becomes."""

from __future__ import annotations

import asyncio
import json
import shlex
from typing import TYPE_CHECKING, Any

import pytest

from lm_eval_so.runner.errors import (
    BackendError,
    BackendSetupError,
    CommandFailedError,
    ConfigError,
    InvalidResponseError,
)
from support.command_bots import ask, asked, backend_of, script

if TYPE_CHECKING:
    from pathlib import Path

REPEATS = "import sys, json; print(json.dumps({'text': sys.stdin.read()}))"
JSON = {"output": "json"}


def prints(text: str, *more: str) -> list[str]:
    """A command that says this on stdout."""
    return ["sh", "-c", f"printf %s {shlex.quote(text)}; {'; '.join(more) or ':'}"]


def test_it_gets_the_request_as_one_line_of_json(tmp_path: Path) -> None:
    told = ask(script(tmp_path, REPEATS), output="json").text
    assert told.count("\n") == 1
    assert json.loads(told) == {
        "id": "s",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Where?"},
        ],
        "model": "m",
        "params": {},
        "trace_id": "trace",
        "repeat": 0,
    }


def test_it_gets_the_last_user_turn_alone_and_that_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    backend = backend_of(["cat"], input="last_user")

    async def twice() -> list[str]:
        async with backend:
            return [(await backend.send(asked(backend))).text for _ in range(2)]

    assert asyncio.run(twice()) == ["Where?"] * 2
    (record,) = caplog.records
    assert "1 other messages are left out" in record.getMessage()


def test_a_turn_that_is_no_text_is_the_sample_s_error() -> None:
    backend = backend_of(["cat"], input="last_user")
    parts: list[dict[str, Any]] = [{"type": "text", "text": "What"}, {"type": "text", "text": "?"}]

    async def send(*content: dict[str, Any]) -> str:
        async with backend:
            request = asked(backend, [{"role": "user", "content": list(content)}])
            return (await backend.send(request)).text

    assert asyncio.run(send(*parts)) == "What\n?"
    with pytest.raises(BackendError, match="holds more than text") as refused:
        asyncio.run(send(*parts, {"type": "image_url", "image_url": {"url": "data:,x"}}))
    assert refused.value.sample_fault


def test_no_shell_reads_the_arguments(tmp_path: Path) -> None:
    arguments = ["$HOME", "`id`", "a b", "; exit 3", "*", '"', "한국어"]
    text = "import sys, json; print(json.dumps({'text': json.dumps(sys.argv[1:])}))"
    told = ask([*script(tmp_path, text), *arguments], output="json").text
    assert json.loads(told) == arguments


def test_it_gets_the_named_variables_and_no_other() -> None:
    environ = {"PATH": "/usr/bin:/bin", "OPENAI_API_KEY": "sk-1", "MINE": "2", "HOME": "/h"}
    backend = backend_of(["env"], environ, env={"MINE": None, "TIER": "low", "ABSENT": None})

    async def once() -> str:
        async with backend:
            return (await backend.send(asked(backend))).text

    lines = set(asyncio.run(once()).splitlines())
    assert {line for line in lines if not line.startswith(("PWD=", "_=", "SHLVL="))} == {
        *("PATH=/usr/bin:/bin", "MINE=2", "TIER=low")
    }


def test_it_starts_in_the_named_folder(tmp_path: Path) -> None:
    assert ask(["pwd"], cwd=str(tmp_path)).text == str(tmp_path)


@pytest.mark.parametrize(
    ("printed", "options", "expected"),
    [
        ("Here.\n", {}, {"text": "Here."}),
        ("Here.\r\n", {}, {"text": "Here."}),
        ("\n Here.\n\n", {}, {"text": "\n Here.\n"}),
        ("", {}, {"text": ""}),
        ('{"text": "Here.", "model": "v2"}', JSON, {"text": "Here.", "model": "v2"}),
        (
            '{"out": [{"t": "Here."}], "n": 3}',
            {**JSON, "paths": {"text": "out[0].t", "tokens": {"output": "n", "input": "m"}}},
            {"text": "Here.", "tokens": {"output": 3}, "raw": {"out": [{"t": "Here."}], "n": 3}},
        ),
        (
            "think: hm\nHere.\nin 7 out 3 first 0.25 s\n",
            {
                "output": "regex",
                "pattern": r"think: (?P<reasoning>.*)\n(?s:(?P<text>.*?))\nin (?P<input_tokens>\d+)"
                r" out (?P<output_tokens>\d+) first (?P<time_to_first_token_s>[\d.]+) s",
            },
            {
                "text": "Here.",
                "reasoning": "hm",
                "tokens": {"input": 7, "output": 3},
                "time_to_first_token_ms": 250,
            },
        ),
    ],
    ids=["text", "crlf", "white space", "empty", "our names", "paths", "pattern"],
)
def test_what_it_prints_becomes_the_answer(
    printed: str, options: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert ask(prints(printed), **options).model_dump(exclude_none=True) == expected


def test_tokens_and_times_may_stand_on_stderr() -> None:
    command = prints("Here.", "echo 'eval count: 12 token(s)' >&2")
    found = ask(command, stderr_pattern=r"eval count: +(?P<output_tokens>\d+)")
    assert found.tokens is not None
    assert (found.text, found.tokens.output) == ("Here.", 12)
    assert ask(prints("Here."), stderr_pattern=r"(?P<output_tokens>\d+)").tokens is None


OLLAMA = """
total duration:       4.1s
load duration:        31.2ms
prompt eval count:    26 token(s)
prompt eval duration: 130ms
prompt eval rate:     200.00 tokens/s
eval count:           298 token(s)
eval duration:        3.9s
eval rate:            76.41 tokens/s
"""


def test_what_ollama_says_with_verbose_has_the_tokens() -> None:
    pattern = (
        r"(?s)prompt eval count: +(?P<input_tokens>\d+).*\neval count: +(?P<output_tokens>\d+)"
    )
    command = prints("Here.", f"printf %s {shlex.quote(OLLAMA)} >&2")
    tokens = ask(command, stderr_pattern=pattern).tokens
    assert tokens is not None
    assert (tokens.input, tokens.output) == (26, 298)


def test_bytes_that_are_no_text_cost_a_character_each() -> None:
    assert ask(["printf", r"Here\377."]).text == "Here\ufffd."


@pytest.mark.parametrize(
    ("printed", "options", "sentence"),
    [
        ("Loading...", JSON, "no answer: the output is no JSON, but: Loading..."),
        ("", JSON, "no answer: the output is no JSON, but: nothing at all"),
        ("[1]", JSON, "no answer: the output is no JSON object, but: [1]"),
        ('{"sources": []}', JSON, "no answer: the output has no 'text', but 'sources', but: {"),
        ('{"text": 7}', JSON, "no answer: the output has what is no answer: text must be a string"),
        ("{}", {**JSON, "paths": {"text": "a.b"}}, "no answer: 'a.b' finds nothing, but: {}"),
        (
            "usage: bot",
            {"output": "regex", "pattern": "A: (?P<text>.*)"},
            "no answer: the pattern is nowhere in the output, but: usage: bot",
        ),
    ],
)
def test_what_is_no_answer_is_told(printed: str, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidResponseError) as refused:
        ask(prints(printed), **options)
    assert refused.value.message.startswith(sentence)
    assert not refused.value.retryable


def test_an_error_as_json_is_no_answer() -> None:
    with pytest.raises(BackendError, match="the command says: no such user") as refused:
        ask(
            prints('{"text": "x", "error": {"message": "no such user", "retryable": true}}'), **JSON
        )
    assert refused.value.retryable
    with pytest.raises(BackendError, match="the command says: full") as refused:
        ask(prints('{"err": "full"}'), **JSON, paths={"text": "t", "error": "err"})
    assert not refused.value.retryable


def test_an_exit_code_and_the_last_words_become_the_error() -> None:
    command = prints("Here.", "echo one >&2", "echo 'no such model' >&2", "exit 3")
    with pytest.raises(CommandFailedError) as failed:
        ask(command)
    error = failed.value
    assert error.message == "the command ended with exit code 3: no such model"
    assert error.details == {"code": 3, "stderr": "one\nno such model"}
    assert not error.retryable
    with pytest.raises(CommandFailedError) as failed:
        ask(prints("", "exit 75"))
    assert failed.value.retryable, "EX_TEMPFAIL"
    with pytest.raises(CommandFailedError, match="was ended by SIGSEGV"):
        ask(prints("", "kill -SEGV $$"))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"command": "bot --fast"}, "backend.options.command: must be a list, since no shell"),
        ({"command": ["bot", 1e3]}, "command: argument 1 must stand in quotes: it is read as 1000"),
        (
            {"command": ["bot", True]},
            "command: argument 1 must stand in quotes: it is read as True",
        ),
        ({"command": []}, "backend.options.command must be a non-empty list"),
        ({"command": ["bot_of_nobody"]}, "there is no program 'bot_of_nobody' on the PATH"),
        ({"command": ["./bot_of_nobody"]}, "there is no program './bot_of_nobody' at "),
        ({"command": ["cat"], "cwd": "/nowhere"}, "cwd: there is no folder /nowhere"),
        ({"command": ["cat"], "env": ["TOKEN=abc"]}, "env: name 1 is no name of a variable"),
        ({"command": ["cat"], "paths": {"txt": "a"}}, "'txt' is no part of an answer"),
        ({"command": ["cat"], "paths": {"tokens": {"n": "a"}}}, "'n' is no part of an answer"),
        ({"command": ["cat"], "paths": {"text": {"a": "b"}}}, "'text' is no path, but a mapping"),
        ({"command": ["cat"], "paths": {"text": "a["}}, "'a[' is no JMESPath expression"),
        ({"command": ["cat"], "paths": {"text": "a"}}, "paths need output: json"),
        ({"command": ["cat"], "output": "regex"}, "output: regex and pattern must be given"),
        ({"command": ["cat"], "pattern": "(", "output": "regex"}, "pattern: is no regular"),
        ({"command": ["cat"], "pattern": ".*", "output": "regex"}, "pattern needs the group"),
        ({"command": ["cat"], "stderr_pattern": "(?P<n>.)"}, "has the group 'n', which is no part"),
        ({"command": ["cat"], "persistent": "jsonl", "input": "last_user"}, "takes input: sample"),
        ({"command": ["cat"], "comand": []}, "did you mean 'backend.options.command'?"),
    ],
)
def test_a_wrong_option_is_told_before_anything_is_started(
    options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises((ConfigError, BackendSetupError)) as refused:
        backend_of(**options)
    assert sentence in str(refused.value)
    assert "abc" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_decides_the_answers_is_the_identity(tmp_path: Path) -> None:
    command = script(tmp_path, "print(1)")
    before = backend_of(command)
    assert backend_of(command, cwd="/", retry_exit_codes=[1]).endpoint == before.endpoint
    assert backend_of([*command, "--fast"]).endpoint != before.endpoint
    assert backend_of(command, input="last_user").endpoint != before.endpoint
    script(tmp_path, "print(2)")
    assert backend_of(command).endpoint != before.endpoint, "a script is read"
    assert before.identity_options["command"] == command


def test_keys_among_the_arguments_are_in_no_identity() -> None:
    keys = ["--api-key=abc-12345678", "--token", "def-12345678", "sk-0123456789abcdefghij"]
    backend = backend_of(["cat", *keys, "-"], env={"MY_TOKEN": "ghi-12345678", "TIER": "low"})
    assert backend.identity_options["command"] == [
        *("cat", "--api-key=***", "--token", "***", "***", "-")
    ]
    assert backend.identity_options["env"] == {"MY_TOKEN": None, "TIER": "low"}
    assert {"abc-12345678", "def-12345678", keys[3], "ghi-12345678"} <= set(backend.secrets)
    others = ["--api-key=xyz-87654321", "--token", "uvw-87654321", "sk-9876543210abcdefghij"]
    assert backend_of(["cat", *others, "-"]).endpoint == backend.endpoint
    few, many = (backend_of(["cat", "--max-token", count]) for count in ("5", "500"))
    assert few.endpoint != many.endpoint, "a number is no key"


@pytest.mark.parametrize(
    ("printed", "options"),
    [
        ('{"text": "hi", "tokens": 17}', {"output": "json"}),
        ('{"u": 5}', {"output": "json", "paths": {"text": "contains(u, 'x')"}}),
        ('{"u": "inf"}', {"output": "json", "paths": {"text": "ceil(to_number(u))"}}),
    ],
    ids=["tokens", "type", "infinity"],
)
def test_what_it_prints_is_never_a_bug_of_ours(printed: str, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidResponseError):
        ask(prints(printed), **options)
