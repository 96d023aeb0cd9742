from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.runner.errors import TrackingError, TrackingUnreachableError
from lm_eval_so.tracking.address import link_to, tracking_uri
from lm_eval_so.tracking.claim import Claim
from lm_eval_so.tracking.client import TrackingClient

if TYPE_CHECKING:
    from pathlib import Path


def test_a_new_database_takes_several_processes_at_once(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/new/mlflow.db"
    text = (
        "from lm_eval_so.tracking.client import TrackingClient; import sys;"
        "s = TrackingClient(sys.argv[1]);"
        "print(s.create_run(s.experiment('one'), 'r', {}))"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", text, uri],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    outcomes = [(*process.communicate(timeout=100), process.returncode) for process in processes]
    assert [code for _, _, code in outcomes] == [0] * 4, outcomes
    client = TrackingClient(uri)
    runs = client.raw.search_runs([client.experiment("one")])
    assert {run.info.run_id for run in runs} == {out.strip() for out, _, _ in outcomes}


def test_a_deleted_experiment_is_told_with_the_way_out(database: str) -> None:
    client = TrackingClient(database)
    client.raw.delete_experiment(client.experiment("gone"))
    with pytest.raises(TrackingError, match=r"'gone' is deleted .* restore it, or name another"):
        client.experiment("gone")


def test_a_directory_keeps_its_run_even_if_it_was_killed_before_it_knew(
    database: str, tmp_path: Path
) -> None:
    client = TrackingClient(database)
    experiment_id = client.experiment("e")
    before = Claim(tmp_path)
    run_id = client.create_run(experiment_id, "r", {"lm_eval_so.key": before.key})
    found, resumed = client.claimed_run(tmp_path, experiment_id, "r", {})
    assert (found, resumed) == (run_id, True)


def test_a_run_that_has_ended_is_opened_again_only_when_that_is_said(
    database: str, tmp_path: Path
) -> None:
    client = TrackingClient(database)
    run_id, _ = client.claimed_run(tmp_path, client.experiment("e"), "r", {})
    client.end(run_id, "FINISHED")
    assert client.claimed_run(tmp_path, client.experiment("e"), "r", {}) == (run_id, True)
    assert client.run(run_id).info.status == "FINISHED"
    client.reopen(run_id)
    assert client.run(run_id).info.status == "RUNNING"


def test_a_run_that_was_deleted_is_not_gone_on_with(database: str, tmp_path: Path) -> None:
    client = TrackingClient(database)
    experiment_id = client.experiment("e")
    first, _ = client.claimed_run(tmp_path, experiment_id, "r", {})
    client.raw.delete_run(first)
    second, resumed = client.claimed_run(tmp_path, experiment_id, "r", {})
    assert second != first
    assert not resumed


def test_a_server_that_is_away_is_unreachable_and_a_wrong_address_refused() -> None:
    with pytest.raises(TrackingUnreachableError, match=r"127\.0\.0\.1:9: .*refused"):
        TrackingClient("http://127.0.0.1:9").probe()
    with pytest.raises(TrackingError, match="gopher") as raised:
        TrackingClient("gopher://x").experiment("e")
    assert not isinstance(raised.value, TrackingUnreachableError)


def test_no_password_is_told() -> None:
    with pytest.raises(TrackingError) as raised:
        TrackingClient("http://me:hunter2-hunter2@127.0.0.1:9").probe()
    assert "hunter2" not in str(raised.value)
    assert "hunter2" not in link_to("http://me:hunter2@host", "1", "r")


def test_the_address_is_the_given_one_else_the_variable_else_a_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tracking_uri(None, tmp_path) == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://variable")
    assert tracking_uri(None, tmp_path) == "http://variable"
    assert tracking_uri("http://given", tmp_path) == "http://given"
