"""A bot that keeps the conversation is told its turns one by one, in a session of each sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lm_eval_so.runner.models import Journal
from support.ask_http import ask, asked, failure
from support.chatbot import Chatbot, Heard, Says

if TYPE_CHECKING:
    from collections.abc import Iterator

BODY = {"q": "{{ last_user }}", "s": "{{ session }}"}


@pytest.fixture
def bot() -> Iterator[Chatbot]:
    with Chatbot() as running:
        yield running


def options(bot: Chatbot, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - options
    return {"url": bot.url, "answer": "body.reply", "body": BODY, **more}


def heard(bot: Chatbot) -> list[tuple[str, str | None]]:
    return [(each.json["q"], each.json["s"]) for each in bot.heard]


def told(body: dict[str, Any]) -> Any:  # noqa: ANN401 - a function
    def behave(got: Heard) -> Says:
        return Says({"reply": f"re {got.json['q']}", **body}, headers={"Set-Cookie": "sid=c-1"})

    return behave


def test_a_session_of_ours_is_new_for_each_sample_and_attempt(bot: Chatbot) -> None:
    bot.behave = told({})
    sample = asked("one", "1", "two")
    assert ask(options(bot, session="new"), sample).text == "re two"
    (first, made), (second, again) = heard(bot)
    assert (first, second) == ("one", "two")
    assert made == again
    assert made
    ask(options(bot, session="new"), sample, journal=Journal())
    assert heard(bot)[2][1] == made, "a session follows from the trace id"


@pytest.mark.parametrize("source", ["body.conversation.id", "cookies.sid"])
def test_a_session_of_the_bot_is_sent_with_the_turns_that_follow(source: str, bot: Chatbot) -> None:
    bot.behave = told({"conversation": {"id": "c-1"}})
    journal = Journal()
    sample = asked("one", "1", "two", "2", "three")
    found = ask(options(bot, session={"from": source}), sample, journal=journal)
    assert found.text == "re three"
    assert heard(bot) == [("one", None), ("two", "c-1"), ("three", "c-1")]
    assert journal.resent == 2, "the budget counts each request"


def test_a_body_with_the_messages_is_sent_once(bot: Chatbot) -> None:
    bot.behave = lambda _: Says()
    body = {"m": "{{ messages }}", "s": "{{ session }}"}
    ask(options(bot, session="new", body=body), asked("one", "1", "two"))
    assert len(bot.heard) == 1


def test_a_turn_that_fails_fails_the_sample(bot: Chatbot) -> None:
    bot.behave = lambda _: Says({"error": "no"}, 500)
    assert failure(options(bot, session="new"), asked("one", "1", "two")).status_code == 500
    assert len(bot.heard) == 1


def test_earlier_turns_that_are_not_sent_are_told_once(
    bot: Chatbot, caplog: pytest.LogCaptureFixture
) -> None:
    body = {"q": "{{ last_user }}"}
    ask(options(bot, body=body), asked("one", "1", "two"))
    assert "the bot is told the last alone" in caplog.text
    caplog.clear()
    ask(options(bot, body=body), asked("one"))
    assert caplog.text == ""
