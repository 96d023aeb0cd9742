"""Which signals are requests to stop a sweep whose cells run elsewhere."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.runner.hydra_app.launch.signals import noted_requests

if TYPE_CHECKING:
    from collections.abc import Iterator

INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP


def noted(*numbers: signal.Signals) -> list[int]:
    with noted_requests() as requests:
        for number in numbers:
            os.kill(os.getpid(), number)
    return requests


@pytest.fixture(autouse=True)
def _signals_as_usual() -> Iterator[None]:
    """Under ``nohup`` SIGHUP would be ignored."""
    before = signal.signal(HUP, signal.SIG_DFL)
    yield
    signal.signal(HUP, before)


@pytest.mark.parametrize(
    ("received", "requests"),
    [
        pytest.param([INT], [INT], id="ctrl-c"),
        pytest.param([INT, INT], [INT, INT], id="ctrl-c-twice"),
        pytest.param([TERM, TERM], [TERM], id="a-cluster-says-it-twice"),
        pytest.param([INT, TERM], [INT], id="from-terminal-and-parent"),
        pytest.param([HUP, TERM, INT], [HUP], id="hang-up-first"),
    ],
)
def test_signals_within_a_moment_are_one_request_but_for_ctrl_c_twice(
    received: list[signal.Signals], requests: list[signal.Signals]
) -> None:
    assert noted(*received) == requests


def test_a_later_signal_is_a_request_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lm_eval_so.runner.run.signals.ONE_REQUEST", 0.0)
    assert noted(TERM, TERM, HUP) == [TERM, TERM, HUP]


def test_afterwards_the_handlers_are_those_of_before() -> None:
    before = [signal.getsignal(number) for number in (INT, TERM, HUP)]
    noted(INT)
    assert [signal.getsignal(number) for number in (INT, TERM, HUP)] == before
