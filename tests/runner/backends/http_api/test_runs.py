"""What one sample causes is its own result; what the config of a chatbot causes ends the run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from conftest import rows
from lm_eval_so.runner.hydra_app.app import main
from support.chatbot import Chatbot, Heard, Says

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

OPTION = "backend.options"


@pytest.fixture
def bot() -> Iterator[Chatbot]:
    with Chatbot(lambda heard: Says({"reply": f"re {heard.json['q']}"})) as running:
        yield running


def run(bot: Chatbot, dataset: Path, *more: str) -> int:
    return main(
        [
            *("backend=http", "dataset=path", f"dataset.path={dataset}", "output_dir=run"),
            *(f"{OPTION}.url={bot.url}", f"{OPTION}.answer=body.reply"),
            *(f"{OPTION}.body={{q: '{{{{ last_user }}}}'}}", "runner.progress=none", *more),
        ]
    )


def results(folder: Path) -> list[dict[str, Any]]:
    return rows(folder / "run" / "run_results.jsonl")


def test_a_wrong_path_ends_the_run_and_is_told(
    bot: Chatbot, make_dataset: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> None:
    more = [f"{OPTION}.answer=body.data.reply", "runner.max_concurrency=4"]
    assert run(bot, make_dataset(100), *more) == 2
    assert len(bot.heard) <= 20
    told = capfd.readouterr().err
    assert "(body.data.reply) found nothing; body is an object with reply" in told
    assert "check=1" in told


def test_what_one_sample_causes_is_its_own(
    bot: Chatbot, make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    said: dict[str, Says] = {
        "page": Says("<!doctype html><title>Sign in</title>"),
        "odd": Says({"other": 1}),
        "error": Says({"error": {"message": "no", "code": 400}}),
        "nothing": Says(""),
    }

    def behave(heard: Heard) -> Says:
        return said.get(heard.json["q"], Says({"reply": "fine"}))

    bot.behave = behave
    dataset = make_dataset(20, s10="page", s11="odd", s12="error", s13="nothing")
    assert run(bot, dataset, "runner.max_retries=0", "runner.max_concurrency=2") == 1
    failed = {
        row["sample_id"]: row["error"]["error_type"] for row in results(tmp_path) if row["error"]
    }
    assert failed == {
        "s10": "InvalidResponseError",
        "s11": "InvalidResponseError",
        "s12": "BadRequestError",
        "s13": "InvalidResponseError",
    }


@pytest.mark.parametrize(
    ("said", "paths", "text"),
    [
        pytest.param(Says("plain ü"), ["answer=text"], "plain ü", id="text"),
        pytest.param(Says('{"error": "no"}'), ["answer=text"], '{"error": "no"}', id="JSON text"),
        pytest.param(
            Says("", headers={"X-Reply": "hi"}), ["answer='headers.\"x-reply\"'"], "hi", id="header"
        ),
        pytest.param(Says("plain"), ["answer=text", "error=body.why"], "plain", id="error named"),
        pytest.param(
            Says({"reply": "a", "error": "b"}), ["error=null"], "a", id="error is nothing"
        ),
    ],
)
def test_an_answer_that_is_no_json_works_by_command_line(
    said: Says,
    paths: list[str],
    text: str,
    bot: Chatbot,
    make_dataset: Callable[..., Path],
    tmp_path: Path,
) -> None:
    bot.behave = lambda _: said
    assert run(bot, make_dataset(1), *(f"{OPTION}.{path}" for path in paths)) == 0
    assert results(tmp_path)[0]["response"]["text"] == text


@pytest.mark.parametrize("paths", [[], ["answer=text", "error=body.error"]], ids=str)
def test_an_error_is_no_answer_by_command_line(
    paths: list[str], bot: Chatbot, make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    bot.behave = lambda heard: Says(
        {"reply": "a", "error": "b"} if heard.json["q"] == "x" else {"reply": "a"}
    )
    more = [f"{OPTION}.{path}" for path in paths]
    assert run(bot, make_dataset(4, s3="x"), "runner.max_retries=0", *more) == 1
    assert [row["status"] for row in results(tmp_path)] == ["ok", "ok", "ok", "error"]


def test_what_is_edited_is_asked_again_only_where_it_is_sent(bot: Chatbot, tmp_path: Path) -> None:
    def write(tier: str, note: str) -> Path:
        samples = [
            {
                "id": f"s{n}",
                "messages": [{"role": "user", "content": f"q{n}"}],
                "metadata": {"tier": tier if n == 1 else "free"},
                "expected": note,
            }
            for n in range(3)
        ]
        file = tmp_path / "q.jsonl"
        file.write_text("".join(json.dumps(each) + "\n" for each in samples))
        return file

    body = f"{OPTION}.body={{q: '{{{{ last_user }}}}', tier: '{{{{ sample.metadata.tier }}}}'}}"
    assert run(bot, write("free", "a"), body) == 0
    assert run(bot, write("free", "b"), body) == 0
    assert len(bot.heard) == 3, "what is expected is not sent"
    assert run(bot, write("gold", "b"), body) == 0
    assert [heard.json for heard in bot.heard[3:]] == [{"q": "q1", "tier": "gold"}]


def test_repeats_have_sessions_of_their_own(
    bot: Chatbot, make_dataset: Callable[..., Path]
) -> None:
    body = f"{OPTION}.body={{q: '{{{{ last_user }}}}', s: '{{{{ session }}}}'}}"
    assert run(bot, make_dataset(2), body, f"{OPTION}.session=new", "repeats=3") == 0
    assert len({heard.json["s"] for heard in bot.heard}) == 6


def test_a_retry_begins_a_session_of_its_own(
    bot: Chatbot, make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    bot.behave = lambda _: Says({"reply": "hi"}) if len(bot.heard) > 1 else Says({}, 500)
    body = f"{OPTION}.body={{q: '{{{{ last_user }}}}', s: '{{{{ session }}}}'}}"
    more = [body, f"{OPTION}.session=new", "runner.backoff_initial=0"]
    assert run(bot, make_dataset(1), *more) == 0
    assert len({heard.json["s"] for heard in bot.heard}) == 2
    assert results(tmp_path)[0]["attempts"] == 2
