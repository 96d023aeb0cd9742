"""What a server says moves no cursor, sets no clipboard, and looks like no line of ours."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.runner.api import carry_out
from lm_eval_so.runner.hydra_app.app import main
from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.models import ChatResponse, RunConfig, RunRequest
from lm_eval_so.runner.progress.ending import explain
from lm_eval_so.runner.run.log import run_log
from support.fake_openai import FakeOpenAI, Received, Reply

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CLIPBOARD, TITLE, CLEAR = "\x1b]52;c;aGFjaw==\x07", "\x1b]0;mine\x07", "\x1b[2J\x9b2J"
FORGED = "2026-01-01 00:00:00,000 INFO all is well"
FOREIGN = f"{CLIPBOARD}{TITLE}{CLEAR}\r\n{FORGED}\n{FORGED}\u2028\u202e"
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e]")


def refused(received: Received, _: int) -> Reply:
    return (
        Reply(status=400, text=FOREIGN) if received.question.endswith("1") else Reply(text=FOREIGN)
    )


def unknown(_received: Received, _nth: int) -> Reply:
    return Reply(status=404, text=FOREIGN)


def broken(_received: Received, _nth: int) -> Reply:
    return Reply(body=b'{"choices": "' + FOREIGN.encode() + b'"}')


def page(_received: Received, _nth: int) -> Reply:
    return Reply(status=502, body=f"<html><title>{FOREIGN}</title></html>".encode())


@pytest.mark.parametrize("more", [[], ["-m", "params.n=1,2"]], ids=["run", "sweep"])
@pytest.mark.parametrize("behave", [refused, unknown, broken, page])
def test_nothing_of_it_reaches_the_terminal_or_the_log_as_it_is(
    behave: Callable[[Received, int], Reply],
    more: list[str],
    make_dataset: Callable[..., Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with FakeOpenAI(behave) as server:
        server.models = [f"m-{FOREIGN}", f"n{CLEAR}"]
        for name, value in server.env.items():
            monkeypatch.setenv(name, value)
        target = ["dataset=path", f"dataset.path={make_dataset(3)}", "output_root=out"]
        how = ["runner.max_retries=0", "runner.log_level=debug", "runner.breaker.wait=0"]
        assert main(["backend=openai", "model=m", *target, *how, *more]) in (1, 2)
    shown = capfd.readouterr()
    logs = [path.read_text(encoding="utf-8") for path in tmp_path.rglob("run.log")]
    assert logs
    for text in (shown.out, shown.err, *logs):
        assert not CONTROL.search(text), CONTROL.findall(text)
        assert not [line for line in text.splitlines() if line.startswith(FORGED)]
    if behave in {refused, unknown}:  # of the others only the words are told
        assert "\\x1b" in shown.err, "it is shown as what it is"


def test_a_traceback_in_the_log_cannot_look_like_a_line_of_it(
    make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    async def send(_: RunRequest) -> ChatResponse:
        raise RuntimeError(FOREIGN)

    config = RunConfig(backend="mine", model="m")
    report = carry_out(make_dataset(1), config, backend=send, output_dir="out")
    with run_log(tmp_path / "out", Redactor()):
        explain(report, None)
    log = (tmp_path / "out" / "run.log").read_text(encoding="utf-8")
    assert "Traceback" in log
    assert not CONTROL.search(log)
    assert not [line for line in log.splitlines() if line.startswith(FORGED)]


def test_half_a_character_loses_no_line_of_the_log(tmp_path: Path) -> None:
    with run_log(tmp_path, Redactor()):
        (*_, in_file) = logging.getLogger("lm_eval_so").handlers
        in_file.handle(logging.makeLogRecord({"msg": "cannot open \udcff.txt"}))
    assert "cannot open \\udcff.txt" in (tmp_path / "run.log").read_text(encoding="utf-8")
