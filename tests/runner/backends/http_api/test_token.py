"""A command's token is got once for everybody, and again before it ends or where it is refused."""

from __future__ import annotations

import asyncio
import stat
import sys
from typing import TYPE_CHECKING, Any

import pytest

from conftest import rows
from lm_eval_so.runner.backends.http_api.options import AuthOptions
from lm_eval_so.runner.backends.http_api.token import Hiding, Token
from lm_eval_so.runner.errors import AuthenticationError, BackendSetupError
from lm_eval_so.runner.hydra_app.app import main
from support.ask_http import ask, failure
from support.chatbot import Chatbot, Heard, Says

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PRINTS_NEXT = """#!{python}
import pathlib, sys
runs = pathlib.Path({folder!r}) / "runs"
with runs.open("a") as file:
    file.write("x")
print("token-0123456789-" + str(len(runs.read_text())))
"""


@pytest.fixture
def bot() -> Iterator[Chatbot]:
    with Chatbot() as running:
        yield running


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """Prints another token each time."""
    return [script(tmp_path, PRINTS_NEXT.format(python=sys.executable, folder=str(tmp_path)))]


def script(folder: Path, text: str) -> str:
    file = folder / "print-token"
    file.write_text(text)
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return str(file)


def runs(folder: Path) -> int:
    file = folder / "runs"
    return len(file.read_text()) if file.exists() else 0


def options(bot: Chatbot, command: list[str], **auth: Any) -> dict[str, Any]:  # noqa: ANN401
    named = {"token_command": command, **auth}
    body = {"q": "{{ last_user }}"}
    return {"url": bot.url, "answer": "body.reply", "body": body, "auth": named}


def token_of(heard: Heard) -> str:
    return heard.headers["Authorization"].removeprefix("Bearer token-0123456789-")


def test_a_token_that_ends_in_the_middle_of_a_run_costs_no_sample(
    bot: Chatbot,
    command: list[str],
    make_dataset: Callable[..., Path],
    tmp_path: Path,
) -> None:
    def behave(heard: Heard) -> Says:
        ended = len(bot.heard) > 200 and token_of(heard) == "1"
        return Says({"error": "expired"}, 401) if ended else Says({"reply": "ok"}, hold=0.02)

    bot.behave = behave
    dataset = make_dataset(400)
    code = main(
        [
            *("backend=http", "dataset=path", f"dataset.path={dataset}", "output_dir=run"),
            f"backend.options.url={bot.url}",
            *("backend.options.answer=body.reply", "backend.options.body={q: '{{ last_user }}'}"),
            f"backend.options.auth={{token_command: ['{command[0]}']}}",
            *("runner.max_concurrency=64", "runner.max_retries=0", "runner.progress=none"),
        ]
    )
    assert code == 0
    assert runs(tmp_path) == 2, "once at the start, and once for all 64"
    found = rows(tmp_path / "run" / "run_results.jsonl")
    assert [row["status"] for row in found] == ["ok"] * 400
    assert {row["attempts"] for row in found} == {1}
    for file in (tmp_path / "run").iterdir():
        assert b"token-0123456789" not in file.read_bytes()


def test_a_token_that_is_never_taken_is_not_got_again(
    bot: Chatbot, command: list[str], tmp_path: Path
) -> None:
    bot.behave = lambda _: Says({"error": "who?"}, 401)
    assert isinstance(failure(options(bot, command)), AuthenticationError)
    assert (runs(tmp_path), len(bot.heard)) == (1, 1)


def test_a_bot_that_repeats_the_token_gets_it_into_no_answer_and_no_error(
    bot: Chatbot, command: list[str]
) -> None:
    bot.behave = lambda heard: Says({"reply": heard.headers["Authorization"]})
    found = ask(options(bot, command))
    assert found.text == "Bearer ***"
    assert "0123456789" not in str(found.raw)
    bot.behave = lambda heard: Says({"error": heard.headers["Authorization"]}, 400)
    refused = failure(options(bot, command))
    assert "Bearer ***" in refused.message
    assert "0123456789" not in f"{refused.message} {refused.details}"


def test_a_header_a_prefix_and_a_place_in_json_can_be_named(bot: Chatbot, tmp_path: Path) -> None:
    printing = script(tmp_path, '#!/bin/sh\necho \'{"access": {"token": "abc"}}\'\n')
    named = {"token_path": "access.token", "header": "X-Token", "prefix": ""}
    ask(options(bot, [printing], **named))
    assert bot.heard[0].headers["X-Token"] == "abc"


@pytest.mark.parametrize(
    ("text", "auth", "words"),
    [
        ("#!/bin/sh\necho no account >&2\nexit 3\n", {}, "ended with code 3: no account"),
        ("#!/bin/sh\n", {}, "printed no token"),
        ("#!/bin/sh\necho two words\n", {}, "printed no token"),
        ("#!/bin/sh\necho text\n", {"token_path": "a"}, "printed no JSON with a token"),
        ("#!/bin/sh\nsleep 60\n", {"timeout": 0.2}, "gave nothing within 0.2 s"),
    ],
    ids=["fails", "prints nothing", "prints more", "prints no JSON", "hangs"],
)
def test_a_command_without_a_token_is_told(
    text: str, auth: dict[str, Any], words: str, bot: Chatbot, tmp_path: Path
) -> None:
    found = failure(options(bot, [script(tmp_path, text)], **auth))
    assert isinstance(found, AuthenticationError)
    assert words in found.message
    assert not found.retryable
    assert bot.heard == []


def test_a_program_that_is_not_there_is_told_before_anything_is_sent(bot: Chatbot) -> None:
    with pytest.raises(BackendSetupError, match="there is no program 'no-such-program'"):
        ask(options(bot, ["no-such-program"]))


def test_the_command_is_run_again_before_its_token_ends(command: list[str], tmp_path: Path) -> None:
    now = [0.0]

    async def main() -> None:
        token = Token(AuthOptions(token_command=command, lifetime=100), lambda: now[0])
        first = {await token.get(), await token.get()}
        now[0] = 89
        assert {await token.get()} == first
        now[0] = 91
        together = await asyncio.gather(*(token.get() for _ in range(20)))
        assert len({*together}) == 1
        assert {*together} != first

    asyncio.run(main())
    assert runs(tmp_path) == 2


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_token_is_hidden_also_where_a_stream_is_cut_in_it(cut: int) -> None:
    text = b"ab tok-12 cd tok-1 tok-12"
    hiding = Hiding(b"tok-12")
    seen = [hiding.feed(text[n : n + cut]) for n in range(0, len(text), cut)] + [hiding.rest()]
    assert b"".join(seen) == b"ab *** cd tok-1 ***"


def test_without_a_token_a_stream_is_passed_on_at_once() -> None:
    assert Hiding(b"").feed(b"tok") == b"tok"
