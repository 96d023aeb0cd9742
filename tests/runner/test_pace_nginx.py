"""Runs through a real nginx: its rate limit, an outage behind it, and its reload."""

from __future__ import annotations

import json
import shutil
import threading
from typing import TYPE_CHECKING, Any

import pytest

from measure import provider
from support.nginx import Nginx, missing

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from measure import Provider

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())


@pytest.fixture
def run(
    command: Callable[..., subprocess.CompletedProcess[str]],
    make_dataset: Callable[..., Path],
    tmp_path: Path,
) -> Callable[..., dict[str, Any]]:
    """Asks ``count`` samples by the command line, and gives the summary of the run."""

    def start(server: Provider, count: int, *overrides: str) -> dict[str, Any]:
        make_dataset(count)
        done = command(
            *("backend=openai", "model=fake", "dataset=path", "dataset.path=numbers"),
            *("output_dir=run", *overrides),
            env=server.env,
        )
        assert done.returncode in {0, 1}, done.stderr
        (metadata,) = tmp_path.glob("run*/run_metadata.json")
        summary: dict[str, Any] = json.loads(metadata.read_text())["summary"]
        shutil.rmtree(metadata.parent)
        return summary

    return start


@pytest.mark.parametrize("status", [429, 503])
def test_a_limit_that_only_refusals_tell_costs_no_sample(
    status: int, run: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    """What time it takes is measured by ``make bench``, and tried in virtual time."""
    zone = "limit_req_zone $binary_remote_addr zone=all:1m rate=20r/s;"
    location = f"limit_req zone=all; limit_req_status {status};"
    with (
        provider(latency_s=0.005) as server,
        Nginx(tmp_path / "nginx", server.port, zone, location) as nginx,
    ):
        summary = run(server.behind(nginx.port), 200)
        answers = server.stats()["answers"]
    assert summary["status_counts"] == {"ok": 200}
    assert (answers["questions"], answers["most"]) == (200, 1)
    refused = summary["requests"] - 200
    assert 0 < refused < 200, "a run that learns no rate is refused thousands of times"


def test_an_outage_behind_a_gateway_fails_no_sample(
    run: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    with (
        provider(latency_s=0.05, away=(0.5, 5.5), away_status=0) as server,
        Nginx(tmp_path / "nginx", server.port) as nginx,
    ):
        summary = run(server.behind(nginx.port), 500, "runner.max_concurrency=16")
        answers = server.stats()["answers"]
    assert summary["status_counts"] == {"ok": 500}
    assert answers["questions"] == 500
    assert answers["most"] == 1


def test_a_reload_of_the_gateway_fails_no_sample_even_without_retries(
    run: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    """Answers at once leave many kept connections idle, and a reload closes idle ones."""
    with provider() as server, Nginx(tmp_path / "nginx", server.port) as nginx:
        over = threading.Event()
        reload = threading.Thread(target=reload_at, args=(300, over, server, nginx), daemon=True)
        reload.start()
        try:
            options = ("runner.max_retries=0", "runner.max_concurrency=64")
            summary = run(server.behind(nginx.port), 1000, *options)
        finally:
            over.set()
            reload.join()
        answers = server.stats()["answers"]
    assert summary["status_counts"] == {"ok": 1000}
    assert answers["questions"] == 1000


def reload_at(questions: int, over: threading.Event, server: Provider, nginx: Nginx) -> None:
    """Reloads once so many questions are answered, or not at all if that does not come."""
    while not over.wait(0.005):
        if server.stats()["answers"]["questions"] >= questions:
            nginx.reload()
            return
