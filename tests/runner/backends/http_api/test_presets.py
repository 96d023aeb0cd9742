"""Each preset gets answers from a server that behaves as the documentation of its bot says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from conftest import rows
from lm_eval_so.runner.hydra_app.app import main
from support.chatbot import Chatbot
from support.known_bots import KEY, KNOWN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEYS = ("DIFY_API_KEY", "LANGFLOW_API_KEY", "FLOWISE_API_KEY", "RASA_TOKEN")
TEXTS = {
    "dify": "first: hello",
    "rasa": "flow:\nhello",
}
PATHS = {"botpress": "/api/v1/bots/b1/converse/{{ session }}"}


@pytest.fixture(params=KNOWN)
def preset(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs a preset on some questions; gives the result of each, and the server."""

    def run(preset: str, *questions: list[str], key: str = KEY) -> Any:  # noqa: ANN401 - a pair
        for name in KEYS:
            monkeypatch.setenv(name, key)
        samples = [
            {
                "id": f"s{number}",
                "messages": [
                    {"role": ["user", "assistant"][at % 2], "content": text}
                    for at, text in enumerate(turns)
                ],
            }
            for number, turns in enumerate(questions)
        ]
        (tmp_path / "q.jsonl").write_text("".join(json.dumps(each) + "\n" for each in samples))
        with Chatbot(KNOWN[preset]) as bot:
            monkeypatch.setenv("CHATBOT_URL", bot.url)
            url = f"{bot.url}{PATHS.get(preset, '/ask')}"
            given = [] if preset == "chatbot" else [f"backend.options.url={url}"]
            main(
                [
                    *(f"backend={preset}", "dataset=path", "dataset.path=q.jsonl"),
                    *("output_dir=run", "runner.max_retries=0", "runner.progress=none", *given),
                ]
            )
        file = tmp_path / "run" / "run_results.jsonl"
        return rows(file) if file.exists() else [], bot

    return run


def test_a_preset_gets_answers_and_errors(preset: str, ask: Callable[..., Any]) -> None:
    (found, failed), bot = ask(preset, ["hello"], ["fail"])
    assert found["response"]["text"] == TEXTS.get(preset, "flow: hello")
    assert failed["error"]["message"]
    assert failed["response"] is None
    assert len(bot.heard) == 2


@pytest.mark.parametrize("preset", ["dify", "langflow", "flowise", "rasa"])
def test_a_wrong_key_ends_the_run(preset: str, ask: Callable[..., Any]) -> None:
    found, bot = ask(preset, ["a"], ["b"], ["c"], key="wrong-0123456789")
    assert found == []
    assert len(bot.heard) == 3


@pytest.mark.parametrize("preset", ["dify", "langflow", "flowise", "rasa", "botpress"])
def test_a_bot_with_sessions_is_told_one_turn_after_the_other(
    preset: str, ask: Callable[..., Any]
) -> None:
    (found,), bot = ask(preset, ["one", "1", "two"])
    assert found["response"]["text"].endswith("two")
    sessions = {
        "dify": lambda heard: heard.json["conversation_id"] or "conv-1",
        "langflow": lambda heard: heard.json["session_id"],
        "flowise": lambda heard: heard.json["chatId"],
        "rasa": lambda heard: heard.json["sender"],
        "botpress": lambda heard: heard.path.rpartition("/")[2],
    }
    assert len(bot.heard) == 2
    assert len({sessions[preset](heard) for heard in bot.heard}) == 1


def test_what_the_answers_tell_is_kept(ask: Callable[..., Any]) -> None:
    (dify,), _ = ask("dify", ["hello"])
    assert dify["response"]["tokens"] == {"input": 9, "output": 4, "total": 13}
    assert dify["response"]["request_id"] == "msg-1"
    assert dify["response"]["time_to_first_token_ms"] > 0


def test_an_assistant_that_says_nothing_gives_an_empty_answer(ask: Callable[..., Any]) -> None:
    (found,), _ = ask("rasa", ["silence"])
    assert found["response"]["text"] == ""


def test_our_own_style_tells_model_and_tokens(ask: Callable[..., Any]) -> None:
    (found,), _ = ask("chatbot", ["hello"])
    assert found["response"]["model"] == "chatbot"
    assert found["response"]["tokens"]["total"] == 7
