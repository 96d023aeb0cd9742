"""A key of a chatbot is found in no file and on no terminal, whichever way it was given."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from lm_eval_so.runner.hydra_app.app import main
from support.chatbot import Chatbot, Heard, Says

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KEY = "f81d4fae7dec11d0a76500a0c91e6bf6"
OPTION = "backend.options"


class Case(NamedTuple):
    """A way to give a key: on the command line, or in a YAML file of one's own."""

    given: tuple[str, ...] = ()
    yaml: str = ""


CASES = {
    "variable in a header": Case((f"{OPTION}.headers={{X-Odd: {{env: BOT_KEY}}}}",)),
    "variable in the query": Case((f"{OPTION}.query={{q: {{env: BOT_KEY}}}}",)),
    "header": Case((f"{OPTION}.headers={{Authorization: 'Bearer {KEY}'}}",)),
    "header of an unusual name": Case((f"+{OPTION}.headers.X-Odd={KEY}",)),
    "query": Case((f"{OPTION}.query={{api-key: {KEY}}}",)),
    "query of the address": Case((f"{OPTION}.url={{url}}?api-key={KEY}",)),
    "password in the address": Case((f"{OPTION}.url=http://me:{KEY}@{{place}}",)),
    "body": Case((f"{OPTION}.body={{api_key: {KEY}, q: '{{{{ last_user }}}}'}}",)),
    "token command": Case((f"{OPTION}.auth={{token_command: [printenv, BOT_KEY]}}",)),
    "argument of a token command": Case((f"{OPTION}.auth={{token_command: [echo, {KEY}]}}",)),
    "YAML, header": Case(yaml=f"headers: {{X-Odd: {KEY}}}"),
    "YAML, body": Case(yaml=f'body: {{secret: "{KEY}", q: "{{{{ last_user }}}}"}}'),
    "YAML, token command": Case(yaml=f"auth: {{token_command: [echo, {KEY}]}}"),
    "interpolation": Case((f"{OPTION}.body={{password: '${{oc.env:BOT_KEY}}'}}",)),
}


def told_back(heard: Heard) -> Says:
    """A bot that repeats all it got, in its errors and in its answers."""
    got = f"{heard.headers} {heard.query} {heard.body.decode()}"
    return Says({"error": got}, 400) if "question 1" in got else Says({"reply": got, "got": got})


class Place:
    """Where a case is tried."""

    def __init__(self, case: Case, folder: Path, dataset: Path, bot: Chatbot) -> None:
        self.bot, self._folder, self._dataset = bot, folder, dataset
        conf = folder / "conf"
        (conf / "backend").mkdir(parents=True)
        (conf / "backend" / "own.yaml").write_text(
            "\n".join(["defaults: [http, _self_]", "options:", f"  {case.yaml or 'method: POST'}"])
        )
        given = [
            each.replace("{url}", bot.url).replace("{place}", bot.url.removeprefix("http://"))
            for each in case.given
        ]
        self._conf = conf
        self.arguments = [
            *("backend=own", f"--config-dir={conf}", "dataset=path", f"dataset.path={dataset}"),
            *("output_root=out", f"{OPTION}.answer=body.reply", f"{OPTION}.url={bot.url}"),
            *([] if "body" in f"{case}" else [f"{OPTION}.body={{q: '{{{{ last_user }}}}'}}"]),
            *given,
        ]

    def assert_nowhere(self, *shown: str) -> None:
        written = {
            path: path.read_bytes()
            for path in self._folder.rglob("*")
            if path.is_file() and self._conf not in path.parents
        }
        assert [path for path, text in written.items() if KEY.encode() in text] == []
        assert [path for path in written if KEY in str(path)] == []
        assert [text[max(0, text.find(KEY) - 80) :][:200] for text in shown if KEY in text] == []


@pytest.fixture
def place(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    make_dataset: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Place]:
    monkeypatch.setenv("BOT_KEY", KEY)
    with Chatbot(told_back) as bot:
        yield Place(CASES[request.param], tmp_path, make_dataset(3), bot)


every_case = pytest.mark.parametrize("place", CASES, indirect=True)


@every_case
def test_a_run_shows_it_nowhere(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    more = ["hydra.output_subdir=.hydra", "hydra.run.dir=snapshots", "runner.log_level=debug"]
    code = main([*place.arguments, *more, "runner.max_failures=3"])
    shown = capfd.readouterr()
    assert code == 0, shown.err
    assert place.bot.heard
    place.assert_nowhere(shown.out, shown.err)


@every_case
def test_no_look_at_it_shows_it(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    for how in (["preview=1"], ["check=1"], ["--cfg=all", "--resolve"], ["--info", "all"]):
        assert main([*place.arguments, *how]) == 0, how
        shown = capfd.readouterr()
        place.assert_nowhere(shown.out, shown.err)


@every_case
def test_a_sweep_shows_it_nowhere(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    main(["-m", *place.arguments, "params.n=1,2", "runner.max_failures=3"])
    shown = capfd.readouterr()
    assert place.bot.heard, shown.err
    place.assert_nowhere(shown.out, shown.err)


def test_the_name_of_a_variable_is_told_where_it_is_not_set(
    make_dataset: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> None:
    header = f"{OPTION}.headers={{Authorization: {{env: NO_SUCH_BOT_KEY, prefix: 'Bearer '}}}}"
    given = ["dataset=path", f"dataset.path={make_dataset(1)}", f"{OPTION}.url=http://localhost"]
    assert main(["backend=http", *given, f"{OPTION}.answer=text", header]) == 2
    assert "the variable NO_SUCH_BOT_KEY is not set" in capfd.readouterr().err


def test_the_program_of_a_token_command_is_told(
    make_dataset: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> None:
    auth = f"{OPTION}.auth={{token_command: [no-such-program, print-access-token]}}"
    given = ["dataset=path", f"dataset.path={make_dataset(1)}", f"{OPTION}.url=http://localhost"]
    assert main(["backend=http", *given, f"{OPTION}.answer=text", auth]) == 2
    assert "there is no program 'no-such-program'" in capfd.readouterr().err
