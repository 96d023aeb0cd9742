"""Whole commands on hosts whose wall clocks differ, or are set while they run."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from conftest import program, rows
from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.models import Journal
from lm_eval_so.runner.run.log import run_log
from support.clocks import WallClock
from support.fake_openai import FakeOpenAI, Reply

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOUR = 3600
CELL = ["-m", "hydra/launcher=joblib"]
"""In a process of its own, which shares limits with all others."""


@pytest.mark.parametrize("set_by", [-HOUR, -0.5, 0, HOUR], ids=str)
def test_the_times_of_a_sample_follow_its_first_start(set_by: float) -> None:
    journal = Journal()
    assert journal.moment(100.0) is None
    journal.left(NOON, 100.0)
    journal.begin()
    journal.left(NOON + timedelta(seconds=2 + set_by), 102.0)
    assert journal.first_started_at == NOON
    assert journal.started_at == NOON + timedelta(seconds=2)
    assert journal.moment(103.5) == NOON + timedelta(seconds=3.5)


def start(words: list[str], env: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*program(), "backend=openai", "model=m", "dataset=path", "runner.progress=none", *words],
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def moments(line: dict[str, Any]) -> list[datetime]:
    """What a result tells, in the order in which it happened."""
    attempts = [attempt["started_at"] for attempt in line.get("attempt_log", ())]
    found = [line["started_at"], *attempts, line["completed_at"]]
    return [datetime.fromisoformat(moment) for moment in found]


@pytest.mark.parametrize("to", [-HOUR, HOUR], ids=["back", "forth"])
@pytest.mark.parametrize("shared", [[], [*CELL, "params.top_p=1"]], ids=["alone", "shared"])
def test_a_clock_that_is_set_by_an_hour_holds_up_nothing_and_turns_no_times(
    make_dataset: Callable[..., Path], tmp_path: Path, to: int, shared: list[str]
) -> None:
    clock = WallClock(tmp_path)

    def behave(_received: object, nth: int) -> Reply:
        if len(server.requests) == 10:
            clock.set(to)
        return Reply(status=500, latency=0.05) if nth == 1 else Reply(latency=0.05)

    with FakeOpenAI(behave) as server:
        words = [f"dataset.path={make_dataset(30)}", "runner.requests_per_minute=3000", *shared]
        process = start(words, {**server.env, **clock.env})
        said, _ = process.communicate(timeout=300)  # an hour, where it is taken for a pause
    assert process.returncode == 0, said
    (results,) = (tmp_path / "outputs").glob("numbers/openai*/run_results.jsonl")
    found = rows(results)
    assert len(found) == 30
    for line in found:
        assert moments(line) == sorted(moments(line))
        spent = moments(line)[-1] - moments(line)[0]
        assert timedelta(0) < spent < timedelta(minutes=5)
    metadata = orjson.loads(results.with_name("run_metadata.json").read_bytes())
    began, ended = (datetime.fromisoformat(metadata[f"{name}_at"]) for name in ("started", "ended"))
    assert timedelta(0) < ended - began < timedelta(minutes=5)


@pytest.mark.parametrize("limit", ["requests_per_minute=1200", "rate_limit=20"])
def test_two_hosts_whose_clocks_differ_keep_one_limit_and_share_it(
    make_dataset: Callable[..., Path], tmp_path: Path, limit: str
) -> None:
    clock = WallClock(tmp_path, ahead=0.5)
    rate, each = 20, 120

    def starts(top_p: float) -> list[float]:
        return [received.at for received in server.requests if received.body["top_p"] == top_p]

    with FakeOpenAI(lambda _received, _nth: Reply(latency=0.1)) as server:
        server.ready = lambda: starts(0.1) and starts(0.2)
        words = [*CELL, f"dataset.path={make_dataset(each)}"]
        words += [f"runner.{limit}", "runner.max_concurrency=8"]
        hosts = [
            start([*words, "params.top_p=0.1", "hydra.sweep.dir=one"], server.env),
            start([*words, "params.top_p=0.2", "hydra.sweep.dir=other"], server.env | clock.env),
        ]
        for host in hosts:
            said, _ = host.communicate(timeout=100)
            assert host.returncode == 0, said
    one, other = starts(0.1), starts(0.2)
    assert len(one) == len(other) == each
    met, parted = max(one[0], other[0]), min(one[-1], other[-1])
    together = [at for at in one + other if at >= met]
    burst = 0.8 * rate if "minute" in limit else 1
    assert max(together) - met >= (len(together) - burst) / (rate * 1.05)
    shares = [sum(met <= at <= parted for at in found) for found in (one, other)]
    assert min(shares) >= sum(shares) / 3


@pytest.mark.parametrize("zone", ["UTC", "Asia/Seoul", "America/New_York"])
def test_run_log_says_its_zone(zone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        before = datetime.now(UTC).replace(microsecond=0)
        with run_log(tmp_path, Redactor([])):
            logging.getLogger("lm_eval_so.here").warning("said")
        line = (tmp_path / "run.log").read_text()
        found = re.fullmatch(
            r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d) WARNING said\n", line
        )
        assert found, line
        moment = datetime.fromisoformat(found[1])
        assert before <= moment <= datetime.now(UTC)
        assert moment.utcoffset() == datetime.now().astimezone().utcoffset()
    finally:
        monkeypatch.undo()
        time.tzset()
