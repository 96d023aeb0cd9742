"""``check=N``: N samples are sent once, what was sent and found is shown, nothing is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lm_eval_so.runner.cli import main as flags
from lm_eval_so.runner.hydra_app.app import main
from support.chatbot import Chatbot, Says
from support.fake_openai import FakeOpenAI, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KEY = "key-0123456789-abcdef"


@pytest.fixture
def bot() -> Iterator[Chatbot]:
    with Chatbot() as running:
        yield running


@pytest.fixture
def check(
    bot: Chatbot, make_dataset: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., int]:
    monkeypatch.setenv("BOT_KEY", KEY)
    dataset = make_dataset(5)

    def start(*overrides: str) -> int:
        return main(
            [
                *("backend=http", "dataset=path", f"dataset.path={dataset}"),
                f"backend.options.url={bot.url}/chat",
                "backend.options.body={q: '{{ last_user }}'}",
                "backend.options.answer=body.items[0].text",
                "backend.options.headers={Authorization: {env: BOT_KEY, prefix: 'Bearer '}}",
                *overrides,
            ]
        )

    return start


def test_what_was_sent_and_what_each_path_found_is_shown(
    bot: Chatbot, check: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bot.behave = lambda heard: Says(
        {"items": [{"text": "hello"}], "n": {"in": 3}, "key": heard.headers["Authorization"]}
    )
    before = set(tmp_path.rglob("*"))
    tokens = ["backend.options.tokens={input: body.n.in}", "backend.options.model=body.key"]
    assert check("check=2", *tokens) == 0
    assert set(tmp_path.rglob("*")) == before
    assert [heard.json["q"] for heard in bot.heard] == ["question 0", "question 1"]
    shown = capsys.readouterr().out
    for line in (
        f"POST {bot.url}/chat",
        "Authorization: ***",
        "status: 200",
        'answer (body.items[0].text): "hello"',
        "tokens.input (body.n.in): 3",
        'model (body.key): "Bearer ***"',
        "=> an answer",
        "2 of 5 samples sent, 0 without an answer; no run began",
    ):
        assert line in shown
    assert KEY not in shown


def test_what_came_instead_of_an_answer_is_shown(
    bot: Chatbot, check: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    bot.behave = lambda _: Says({"items": []})
    assert check("check=1") == 1
    shown = capsys.readouterr().out
    assert "answer (body.items[0].text): null" in shown
    assert "found nothing; body.items is a list of 0" in shown
    bot.behave = lambda _: Says("<html><title>Sign in</title></html>", 403)
    assert check("check=1") == 1
    shown = capsys.readouterr().out
    assert "status: 403" in shown
    assert "=> no answer: PermissionDeniedError: Sign in" in shown


def test_a_bot_that_does_not_answer_is_waited_for_no_longer_than_the_timeout(
    bot: Chatbot, check: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    bot.behave = lambda _: Says(hold=60.0)
    assert check("check=1", "runner.timeout=0.2") == 1
    assert "APITimeoutError" in capsys.readouterr().out


def test_a_token_command_is_run_and_its_token_is_not_shown(
    bot: Chatbot, check: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    bot.behave = lambda heard: Says({"items": [{"text": heard.headers["Authorization"]}]})
    auth = "backend.options.auth={token_command: [printenv, BOT_KEY]}"
    assert check("check=1", "backend.options.headers={}", auth) == 0
    assert bot.heard[0].headers["Authorization"] == f"Bearer {KEY}"
    shown = capsys.readouterr()
    assert KEY not in shown.out + shown.err
    assert 'answer (body.items[0].text): "Bearer ***"' in shown.out


def test_each_cell_of_a_sweep_is_checked(
    bot: Chatbot, check: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    bot.behave = lambda _: Says({"items": [{"text": "hello"}]})
    assert check("-m", "model=a,b", "check=1") == 0
    assert len(bot.heard) == 2
    assert "[2/2 model=b] 1 of 5 samples sent" in capsys.readouterr().out


def test_every_backend_can_be_checked(
    server: FakeOpenAI,
    make_dataset: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in server.env.items():
        monkeypatch.setenv(name, value)
    server.behave = lambda _received, _nth: Reply(text="hello")
    named = ["--backend", "openai", "--model", "m", "--output-dir", "run"]
    assert flags(["--dataset", str(make_dataset(2)), *named, "--check", "1"]) == 0
    shown = capsys.readouterr().out
    assert 'text: "hello"' in shown
    assert "1 of 2 samples sent, 0 without an answer" in shown
