"""A run stops at its budget, and goes on with a larger one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from conftest import rows
from support.fake_openai import Reply

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from support.fake_openai import FakeOpenAI

    Command = Callable[..., subprocess.CompletedProcess[str]]

COUNT = 600


@pytest.fixture
def go(
    command: Command, server: FakeOpenAI, tmp_path: Path
) -> Callable[..., tuple[int, dict[str, Any], str]]:
    """Runs 600 samples of uneven length; returns exit code, metadata and stderr."""
    samples = [
        {
            "id": f"s{n}",
            "messages": [{"role": "user", "content": f"question {n}" + " word" * (n % 60)}],
        }
        for n in range(COUNT)
    ]
    (tmp_path / "test.jsonl").write_bytes(b"\n".join(map(orjson.dumps, samples)))

    def run(*arguments: str) -> tuple[int, dict[str, Any], str]:
        done = command(
            "backend=openai",
            "dataset.path=test.jsonl",
            "output_dir=run",
            "model=gpt-4o-mini",
            *arguments,
            env=server.env,
        )
        metadata = tmp_path / "run" / "run_metadata.json"
        return (
            done.returncode,
            orjson.loads(metadata.read_bytes()) if metadata.exists() else {},
            done.stderr,
        )

    return run


def total_tokens(server: FakeOpenAI, tmp_path: Path, go: Callable[..., Any]) -> int:
    """Of a whole run, in another directory."""
    code, metadata, _ = go("output_dir=whole")
    assert code == 0, metadata
    lines = rows(tmp_path / "whole" / "run_results.jsonl")
    server.requests.clear()
    return sum(line["response"]["tokens"]["total"] for line in lines)


@pytest.mark.parametrize("concurrency", ["auto", "64"])
def test_half_the_tokens_and_then_the_rest(
    concurrency: str, go: Callable[..., Any], server: FakeOpenAI, tmp_path: Path
) -> None:
    half = total_tokens(server, tmp_path, go) // 2
    at_once = f"runner.max_concurrency={concurrency}"
    code, metadata, stderr = go(f"runner.budget.tokens={half}", at_once)
    assert code == 2
    assert metadata["state"] == "partial"
    assert "runner.budget.tokens" in metadata["reason"]
    assert "the budget is spent" in stderr
    assert "Traceback" not in stderr
    assert 0.98 * half <= metadata["summary"]["tokens"]["total"] <= 1.02 * half
    assert set(metadata["summary"]["status_counts"]) == {"ok", "owed"}

    code, metadata, _ = go(f"runner.budget.tokens={4 * half}", at_once)
    assert code == 0
    assert metadata["state"] == "complete"
    assert metadata["summary"]["status_counts"] == {"ok": COUNT}
    assert len(server.requests) == COUNT, "nothing is paid for twice"


def test_the_same_budget_again_sends_nothing(go: Callable[..., Any], server: FakeOpenAI) -> None:
    for _ in range(2):
        code, metadata, _ = go("runner.budget.requests=50")
        assert (code, metadata["state"]) == (2, "partial")
        assert metadata["summary"]["status_counts"] == {"ok": 50, "owed": COUNT - 50}
        assert len(server.requests) == 50


def test_a_damaged_line_is_no_hindrance(
    go: Callable[..., Any], server: FakeOpenAI, tmp_path: Path
) -> None:
    go("runner.budget.requests=20")
    with (tmp_path / "run" / "run_results.jsonl").open("ab") as file:
        file.write(b'{"half a line\n[]\n{}\n')
    code, metadata, stderr = go("runner.budget.requests=30")
    assert (code, metadata["state"]) == (2, "partial"), stderr
    assert metadata["summary"]["status_counts"]["ok"] == len(server.requests) == 30


def test_dollars_by_the_price_list(
    go: Callable[..., Any], server: FakeOpenAI, tmp_path: Path
) -> None:
    code, metadata, _ = go()
    assert code == 0
    lines = rows(tmp_path / "run" / "run_results.jsonl")
    for line in lines:
        tokens = line["response"]["tokens"]
        # gpt-4o-mini: 0.15 and 0.60 US dollars per million tokens
        assert line["cost_usd"] == pytest.approx(
            (0.15 * tokens["input"] + 0.60 * tokens["output"]) / 1e6
        )
    whole = sum(line["cost_usd"] for line in lines)
    assert metadata["summary"]["cost_usd"] == pytest.approx(whole)
    server.requests.clear()
    code, metadata, _ = go("output_dir=half", f"runner.budget.usd={whole / 2}")
    half = orjson.loads((tmp_path / "half" / "run_metadata.json").read_bytes())
    assert (code, half["state"]) == (2, "partial")
    assert 0.98 * whole / 2 <= half["summary"]["cost_usd"] <= 1.02 * whole / 2
    assert len(server.requests) < COUNT


def test_dollars_for_a_model_without_a_price_are_refused(
    go: Callable[..., Any], server: FakeOpenAI, tmp_path: Path
) -> None:
    code, _, stderr = go("model=house-brand", "runner.budget.usd=1")
    assert code == 2
    assert stderr.count("\n") == 1
    assert "house-brand" in stderr
    assert "runner.price.input" in stderr
    assert not server.requests
    assert not (tmp_path / "run").exists()
    price = ("runner.price.input=1", "runner.price.output=2")
    code, metadata, _ = go("model=house-brand", "runner.budget.usd=1", *price)
    tokens = metadata["summary"]["tokens"]
    assert code == 0
    assert metadata["summary"]["cost_usd"] == pytest.approx(
        (tokens["input"] + 2 * tokens["output"]) / 1e6
    )


def test_seconds(go: Callable[..., Any]) -> None:
    began = time.monotonic()
    # Three seconds, of which the client takes up to one to load on a busy machine.
    code, metadata, stderr = go("runner.budget.seconds=3", "runner.rate_limit=20")
    assert (code, metadata["state"]) == (2, "partial")
    assert "runner.budget.seconds" in stderr
    assert 30 <= metadata["summary"]["status_counts"]["ok"] <= 90
    assert time.monotonic() - began < 10
    assert go()[0] == 0


def test_failed_attempts_are_requests_too(go: Callable[..., Any], server: FakeOpenAI) -> None:
    server.behave = lambda _received, nth: Reply(status=500) if nth == 1 else Reply()
    options = ("runner.max_retries=3", "runner.backoff_initial=0.01", "runner.max_concurrency=4")
    code, metadata, _ = go("runner.budget.requests=100", *options)
    assert code == 2
    assert len(server.requests) == 100
    assert 45 <= metadata["summary"]["status_counts"]["ok"] <= 50  # up to 8 were backing off


def test_what_never_left_takes_nothing(go: Callable[..., Any]) -> None:
    nobody = "backend.options.base_url=http://127.0.0.1:9/v1"
    code, metadata, _ = go(nobody, "runner.budget.requests=1", "runner.breaker.wait=1")
    assert (code, metadata["state"]) == (2, "aborted")
    assert "budget" not in metadata["reason"]


def test_half_a_price_is_refused(go: Callable[..., Any], server: FakeOpenAI) -> None:
    code, _, stderr = go("runner.price.input=1")
    assert code == 2
    assert "runner.price" in stderr
    assert "together" in stderr
    assert not server.requests
