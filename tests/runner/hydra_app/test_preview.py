"""``preview=N``: what is shown is what is sent, and showing it sends and writes nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from lm_eval_so.runner.cli import main as flags
from lm_eval_so.runner.hydra_app.app import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.fake_openai import FakeOpenAI

BY_CHANCE = {"X-Client-Request-Id"}
SECRET = {"Authorization", "X-Team"}


class Shown(NamedTuple):
    first_line: str
    headers: dict[str, str]
    body: dict[str, Any]


@pytest.fixture
def run(
    server: FakeOpenAI, make_dataset: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., int]:
    """Runs overrides against the server, with five samples."""
    for name, value in server.env.items():
        monkeypatch.setenv(name, value)
    dataset = make_dataset(5)

    def start(*overrides: str) -> int:
        common = ["backend=openai", "dataset=path", f"dataset.path={dataset}", "model=m"]
        return main([*common, *overrides])

    return start


def shown(printed: str) -> list[Shown]:
    found = []
    for text in printed.split("# s")[1:]:
        head, _, rest = text.partition("\n\n")
        _, first_line, *lines = head.splitlines()
        headers = dict(line.split(": ", 1) for line in lines)
        body, _ = json.JSONDecoder().raw_decode(rest)
        found.append(Shown(first_line, headers, body))
    return found


def files(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def test_what_is_shown_is_what_a_socket_receives(
    run: Callable[..., int], server: FakeOpenAI, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [
        "prompt.system='Be terse.'",
        "prompt.template='Q: {{ input }}'",
        "params.temperature=0.5",
        "params.stream=true",
        "backend.options.default_headers={X-Team: blue}",
        "backend.options.default_query={v: 2}",
        "backend.options.request_defaults={top_p: 0.9}",
    ]
    before = files(tmp_path)
    assert run(*asked, "preview=3") == 0
    assert server.requests == []
    assert files(tmp_path) == before
    printed = capsys.readouterr().out
    assert "3 of 5 requests shown; nothing was sent" in printed
    assert "sk-fake" not in printed
    assert "blue" not in printed
    previews = shown(printed)

    assert run(*asked, "runner.max_concurrency=1") == 0
    for preview, sent in zip(previews, server.requests[:3], strict=True):
        assert preview.body == sent.body
        assert list(preview.body) == list(sent.body)
        assert preview.first_line == f"POST {server.base_url.removesuffix('/v1')}{sent.path}"
        assert preview.headers.keys() == sent.headers.keys()
        assert sent.headers.keys() > SECRET
        for name in preview.headers.keys() - BY_CHANCE - SECRET:
            assert preview.headers[name] == sent.headers[name]
        assert preview.headers["Authorization"] == "Bearer ***"
        assert preview.headers["X-Team"] == "***"


def test_each_cell_of_a_sweep_is_shown_under_its_label(
    run: Callable[..., int], server: FakeOpenAI, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(tmp_path)
    assert run("-m", "model=a,b", "prompt.system=x,y", "preview=1") == 0
    assert (server.requests, files(tmp_path)) == ([], before)
    printed = capsys.readouterr().out
    for label in ("[1/4 model=a prompt.system=x]", "[4/4 model=b prompt.system=y]"):
        assert f"{label}\n# s0\nPOST " in printed
    sent = [(one.body["model"], one.body["messages"][0]["content"]) for one in shown(printed)]
    assert sent == [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")]


def test_a_search_shows_one_trial_and_leaves_nothing(
    run: Callable[..., int], server: FakeOpenAI, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("optuna", minversion="4.5")
    before = files(tmp_path)
    search = ["-m", "hydra/sweeper=optuna", "objective=summary.tokens.output"]
    assert run(*search, "params.temperature=choice(0,1)", "preview=1") == 0
    assert (server.requests, files(tmp_path)) == ([], before)
    printed = capsys.readouterr().out
    assert "[for example params.temperature=" in printed
    assert len(shown(printed)) == 1


def test_more_than_there_are_shows_all(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("preview=99") == 0
    printed = capsys.readouterr().out
    assert len(shown(printed)) == 5
    assert "5 of 5 requests shown" in printed


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["prompt.template='{{ inputs }}'"], "test.jsonl:1: prompt.template: the sample has no"),
        (["-m", "prompt.template='{{ inputs }}','{{ input }}'"], "has no 'inputs'"),
        (["preview=0"], "preview must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_sent_is_told(
    run: Callable[..., int],
    server: FakeOpenAI,
    capsys: pytest.CaptureFixture[str],
    overrides: list[str],
    sentence: str,
) -> None:
    assert run("preview=1", *overrides) == 2
    assert sentence in capsys.readouterr().err
    assert server.requests == []


def test_a_finished_run_is_shown_again_and_stays_as_it_is(
    run: Callable[..., int], server: FakeOpenAI, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run() == 0
    before = {path: path.stat().st_mtime_ns for path in files(tmp_path)}
    assert run("preview=1") == 0
    assert {path: path.stat().st_mtime_ns for path in files(tmp_path)} == before
    assert len(shown(capsys.readouterr().out)) == 1
    assert len(server.requests) == 5


def test_a_backend_without_http_shows_what_it_is_asked(
    make_dataset: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--dataset", str(make_dataset(1)), "--backend", "simulated", "--output-dir", "out"]
    assert flags([*asked, "--param", "temperature=0", "--preview", "1"]) == 0
    (preview,) = shown(capsys.readouterr().out)
    assert (preview.first_line, preview.headers) == ("simulated", {})
    messages = [{"role": "user", "content": "question 0"}]
    assert preview.body == {"model": "simulated", "temperature": 0, "messages": messages}
