from __future__ import annotations

import pytest

from lm_eval_so.runner.errors import TrackingError, TrackingUnreachableError
from lm_eval_so.tracking.outbox import Outbox


class Away:
    """MLflow as far as an outbox knows it: there or away, by a clock that is set."""

    def __init__(self) -> None:
        self.away = False
        self.now = 0.0
        self.sent: list[str] = []
        self.probes = 0
        self.outbox = Outbox(self.probe, lambda: self.now)

    def probe(self) -> None:
        self.probes += 1
        if self.away:
            raise TrackingUnreachableError("away")

    def put(self, *names: str) -> None:
        for name in names:
            self.outbox.put(name, lambda name=name: self.sent.append(name))  # type: ignore[misc]


def test_calls_are_sent_in_order() -> None:
    mlflow = Away()
    mlflow.put("run", "params", "end")
    mlflow.outbox.flush()
    assert mlflow.sent == ["run", "params", "end"]
    assert mlflow.outbox.missing() == []


def test_what_could_not_be_sent_waits_and_goes_before_what_comes_later() -> None:
    mlflow = Away()
    mlflow.away = True
    mlflow.put("run", "live", "live")
    mlflow.outbox.flush()
    assert mlflow.outbox.missing() == ["run", "live (2)"]
    assert mlflow.outbox.reason == "away"
    mlflow.away, mlflow.now = False, 5.0
    mlflow.put("end")
    mlflow.outbox.flush()
    assert mlflow.sent == ["run", "live", "live", "end"]
    assert mlflow.outbox.reason == ""


def test_mlflow_is_left_alone_for_a_while_unless_it_is_the_last_try() -> None:
    mlflow = Away()
    mlflow.away = True
    mlflow.put("run")
    for _ in range(10):
        mlflow.outbox.flush()
    assert mlflow.probes == 1
    mlflow.outbox.flush(now=True)
    assert mlflow.probes == 2


def test_a_refusal_is_told_and_holds_up_nothing() -> None:
    mlflow = Away()

    def refuse() -> None:
        raise TrackingError("no such experiment")

    mlflow.outbox.put("params", refuse)
    mlflow.put("end")
    mlflow.outbox.flush()
    assert mlflow.sent == ["end"]
    assert mlflow.outbox.missing() == ["params, refused: no such experiment"]


def test_what_is_no_address_refuses_everything_at_once() -> None:
    def refuse() -> None:
        raise TrackingError("no such scheme")

    outbox = Outbox(refuse)
    outbox.put("run", lambda: None)
    outbox.put("end", lambda: None)
    outbox.flush()
    assert (outbox.missing(), outbox.reason) == (["run", "end"], "no such scheme")
    assert len(outbox) == 0


def test_a_call_that_fails_again_and_again_holds_up_nothing() -> None:
    mlflow = Away()

    def fail() -> None:
        raise TrackingUnreachableError("500")

    mlflow.outbox.put("dataset", fail)
    mlflow.put("end")
    for _ in range(3):
        mlflow.outbox.flush(now=True)
    assert mlflow.sent == ["end"]
    assert mlflow.outbox.missing() == ["dataset, which fails again and again: 500"]


def test_a_call_that_breaks_off_is_made_again() -> None:
    mlflow = Away()
    failures = [TrackingUnreachableError("reset")]

    def flaky() -> None:
        if failures:
            raise failures.pop()
        mlflow.sent.append("flaky")

    mlflow.outbox.put("flaky", flaky)
    mlflow.outbox.flush()
    mlflow.outbox.flush(now=True)
    assert mlflow.sent == ["flaky"]


def test_a_call_that_need_not_wait_is_refused_to_its_caller() -> None:
    mlflow = Away()

    def refuse() -> None:
        raise TrackingError("changed")

    with pytest.raises(TrackingError, match="changed"):
        mlflow.outbox.send("params", refuse)
    mlflow.away = True
    mlflow.outbox.send("params", refuse)
    mlflow.away, mlflow.now = False, 5.0
    mlflow.outbox.send("more", lambda: mlflow.sent.append("more"))
    assert mlflow.sent == ["more"]
    assert mlflow.outbox.missing() == ["params, refused: changed"]


def test_what_takes_too_long_is_left() -> None:
    mlflow = Away()

    def slow() -> None:
        mlflow.now += 10

    for _ in range(5):
        mlflow.outbox.put("slow", slow)
    mlflow.outbox.flush(until=25)
    assert mlflow.outbox.missing() == ["slow (2)"]
