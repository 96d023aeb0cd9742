"""A run stops at its budget, and goes on with a larger one."""

from __future__ import annotations

import os
import random
import subprocess
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from conftest import program, rows
from support.fake_openai import Reply
from support.patience import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.fake_openai import FakeOpenAI, Received

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


def spent(tmp_path: Path) -> dict[str, float]:
    """What the run directory says was taken."""
    found: dict[str, float] = orjson.loads((tmp_path / "run" / "spent.json").read_bytes())
    return found


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
    # At this rate the whole takes ten minutes; how much of it three seconds are depends on the
    # machine.
    code, metadata, stderr = go("runner.budget.seconds=3", "runner.rate_limit=1")
    assert (code, metadata["state"]) == (2, "partial")
    assert "runner.budget.seconds" in stderr
    assert metadata["summary"]["status_counts"]["owed"] > COUNT / 2
    assert go()[0] == 0


def test_failed_attempts_are_requests_too(go: Callable[..., Any], server: FakeOpenAI) -> None:
    server.behave = lambda _received, nth: Reply(status=500) if nth == 1 else Reply()
    options = ("runner.max_retries=3", "runner.backoff_initial=0.01", "runner.max_concurrency=4")
    code, metadata, _ = go("runner.budget.requests=100", *options)
    assert code == 2
    assert len(server.requests) == 100
    # Up to 23 workers had a sample that had failed once.
    assert (100 - 23) // 2 <= metadata["summary"]["status_counts"]["ok"] <= 50


def test_what_never_left_takes_nothing(go: Callable[..., Any], tmp_path: Path) -> None:
    nobody = "backend.options.base_url=http://127.0.0.1:9/v1"
    code, metadata, _ = go(nobody, "runner.budget.requests=1", "runner.breaker.wait=1")
    assert (code, metadata["state"]) == (2, "aborted")
    assert "budget" not in metadata["reason"]
    assert spent(tmp_path)["requests"] == 0


def test_half_a_price_is_refused(go: Callable[..., Any], server: FakeOpenAI) -> None:
    code, _, stderr = go("runner.price.input=1")
    assert code == 2
    assert "runner.price" in stderr
    assert "together" in stderr
    assert not server.requests


MISHAPS = (
    Reply(status=500),
    Reply(reset=True),
    Reply(status=429),
    Reply(body=b"no JSON"),
    Reply(hang=True),
)
AT_ONCE = ("runner.backoff_initial=0.01", "runner.timeout=1", "runner.max_concurrency=4")


def mostly_mishaps(server: FakeOpenAI, connection: str) -> Callable[[Received, int], Reply]:
    """Four requests of five fail, each in another way, and one is answered."""

    def behave(_received: Received, _nth: int) -> Reply:
        turn, which = divmod(len(server.requests), 5)
        reply = Reply() if which == 0 else MISHAPS[(turn + which) % len(MISHAPS)]
        return replace(reply, headers={"Connection": connection})

    return behave


@pytest.mark.parametrize(
    "connection",
    [
        pytest.param("close", id="a-connection-each"),
        pytest.param("keep-alive", id="kept-connections"),
    ],
)
def test_five_commands_together_keep_to_a_budget_whatever_the_server_does(
    connection: str, go: Callable[..., Any], server: FakeOpenAI, tmp_path: Path
) -> None:
    server.behave = mostly_mishaps(server, connection)
    for bound in (15, 30, 45, 60, 60):
        code, metadata, stderr = go(f"runner.budget.requests={bound}", *AT_ONCE)
        assert (code, metadata["state"]) == (2, "partial"), stderr
        wait_for(lambda: len(server.requests) >= spent(tmp_path)["requests"])  # what is read late
        assert len(server.requests) == spent(tmp_path)["requests"]
        # What a kept connection lost goes out once more within the attempt that was admitted.
        resent = 0 if connection == "close" else 4
        assert bound <= len(server.requests) <= bound + resent
    assert metadata["summary"]["status_counts"]["owed"] > COUNT - 30


def test_attempts_of_commands_without_a_budget_count_for_later_ones(
    make_dataset: Callable[..., Path], go: Callable[..., Any], server: FakeOpenAI, tmp_path: Path
) -> None:
    make_dataset(10)
    options = ("dataset.path=numbers", "runner.backoff_initial=0.01")

    def behave(received: Received, nth: int) -> Reply:
        every_other = int(received.question[-1]) % 2
        return Reply(status=500) if every_other and nth <= 2 else Reply()

    server.behave = behave
    assert go(*options)[0] == 0
    assert len(server.requests) == spent(tmp_path)["requests"] == 5 + 3 * 5
    assert spent(tmp_path)["unpriced_input_tokens"] == 0, "the price list knows the model"
    make_dataset(20)
    code, metadata, _ = go(*options, "runner.budget.requests=20")
    assert (code, metadata["state"]) == (2, "partial")
    assert len(server.requests) == 20


def test_result_lines_that_are_deleted_lower_no_total(
    go: Callable[..., Any], server: FakeOpenAI, tmp_path: Path
) -> None:
    go("runner.budget.requests=20")
    results = tmp_path / "run" / "run_results.jsonl"
    results.write_bytes(b"".join(results.read_bytes().splitlines(keepends=True)[:5]))
    code, metadata, _ = go("runner.budget.requests=30")
    assert code == 2
    assert metadata["summary"]["status_counts"]["ok"] == 5 + 10
    assert len(server.requests) == spent(tmp_path)["requests"] == 30


@pytest.mark.parametrize(
    "text",
    [pytest.param(None, id="none"), pytest.param(b'{"schema_version": 1, "req', id="a-torn-one")],
)
def test_without_a_whole_total_the_result_lines_tell_it(
    text: bytes | None, go: Callable[..., Any], server: FakeOpenAI, tmp_path: Path
) -> None:
    go("runner.budget.requests=20")
    told = spent(tmp_path)
    path = tmp_path / "run" / "spent.json"
    if text is None:
        path.unlink()
    else:
        path.write_bytes(text)
    code, _, stderr = go("runner.budget.requests=20")
    assert code == 2
    assert len(server.requests) == 20, "a command that sends nothing"
    assert ("spent.json is damaged" in stderr) is (text is not None)
    assert go("runner.budget.requests=30")[0] == 2
    assert len(server.requests) == spent(tmp_path)["requests"] == 30
    assert spent(tmp_path)["tokens"] == pytest.approx(1.5 * told["tokens"])


def test_the_total_of_a_newer_version_is_refused_before_anything_is_sent(
    go: Callable[..., Any], server: FakeOpenAI, tmp_path: Path
) -> None:
    go("runner.budget.requests=20")
    path = tmp_path / "run" / "spent.json"
    newer = path.read_bytes().replace(b'"schema_version": 1', b'"schema_version": 2')
    path.write_bytes(newer)
    code, _, stderr = go()
    assert code == 2
    assert "update lm-eval-so" in stderr
    assert "Traceback" not in stderr
    assert len(server.requests) == 20
    assert path.read_bytes() == newer


def test_a_command_with_nothing_to_send_leaves_the_total_alone(
    make_dataset: Callable[..., Path], go: Callable[..., Any], tmp_path: Path
) -> None:
    make_dataset(5)
    assert go("dataset.path=numbers")[0] == 0
    before = (tmp_path / "run" / "spent.json").stat()
    assert go("dataset.path=numbers", "runner.budget.requests=100")[0] == 0
    after = (tmp_path / "run" / "spent.json").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


KILLS, IN_FLIGHT, BUDGETED = 4, 16, 240
"""How often a command is killed, with how many in flight, on its way to so many answers."""


@pytest.mark.parametrize(
    ("budget", "each"),
    [
        pytest.param(f"requests={BUDGETED}", 1, id="requests"),
        pytest.param(f"tokens={10 * BUDGETED}", 10, id="tokens"),
        pytest.param(f"usd={13e-6 * BUDGETED}", 13e-6, id="usd"),
    ],
)
def test_kills_neither_stretch_a_budget_nor_waste_more_of_it_than_was_in_flight(
    budget: str,
    each: float,
    make_dataset: Callable[..., Path],
    go: Callable[..., Any],
    server: FakeOpenAI,
    tmp_path: Path,
) -> None:
    """An answer takes one request and 7 + 3 tokens, which cost 1 and 2 dollars a million."""
    make_dataset(2 * BUDGETED)
    arguments = [
        "dataset.path=numbers",
        f"runner.budget.{budget}",
        f"runner.max_concurrency={IN_FLIGHT}",
        "runner.price.input=1",
        "runner.price.output=2",
        "params.max_tokens=3",
    ]
    chance, on_their_way = random.Random(1), 0
    for _ in range(KILLS):
        answered, unanswered = chance.randrange(20, 40), chance.randrange(1, IN_FLIGHT + 1)
        kill_in_mid_run(server, tmp_path, answered, unanswered, arguments)
        on_their_way += IN_FLIGHT - unanswered
        ahead = spent(tmp_path)["requests"] - len(server.requests)
        assert 0 <= ahead <= on_their_way
    server.behave = lambda _received, _nth: Reply()
    code, metadata, stderr = go(*arguments)
    assert (code, metadata["state"]) == (2, "partial"), stderr
    # A kill charges what was in flight, arrived or not. Its tokens are charged by estimate, which
    # is off by a token or so.
    off = 0 if each == 1 else 0.02 * BUDGETED
    assert BUDGETED - KILLS * IN_FLIGHT - off <= len(server.requests) <= BUDGETED + off
    unit = budget.partition("=")[0]
    assert spent(tmp_path)[unit] == pytest.approx(each * BUDGETED, abs=2 * each)


def kill_in_mid_run(
    server: FakeOpenAI, folder: Path, answered: int, unanswered: int, arguments: list[str]
) -> None:
    """Kills a command once so many requests have their answer and so many more have arrived."""
    before = len(server.requests)

    def behave(_received: Received, _nth: int) -> Reply:
        return Reply(hang=len(server.requests) > before + answered)

    server.behave = behave
    process = subprocess.Popen(
        [*program(), "backend=openai", "output_dir=run", "model=gpt-4o-mini", *arguments],
        env={**os.environ, **server.env},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while len(server.requests) < before + answered + unanswered and process.poll() is None:
        time.sleep(0.002)
    process.kill()
    assert process.wait() == -9, "killed, and not at its end"


@pytest.mark.parametrize(("tier", "each"), [("default", 0.0009), ("flex", 0.00045)])
def test_a_budget_of_a_dollar_is_one_of_what_is_billed(
    command: Command, server: FakeOpenAI, tmp_path: Path, tier: str, each: float
) -> None:
    """Most of the prompt comes from the cache, and the tier has a price of its own."""
    fits = round(1 / each)
    samples = (
        {"id": f"s{n}", "messages": [{"role": "user", "content": f"question {n}"}]}
        for n in range(fits + 300)
    )
    (tmp_path / "test.jsonl").write_bytes(b"\n".join(map(orjson.dumps, samples)))
    usage = {
        "prompt_tokens": 10_000,
        "completion_tokens": 100,
        "total_tokens": 10_100,
        "prompt_tokens_details": {"cached_tokens": 8_000},
    }
    server.behave = lambda *_: Reply(extra={"usage": usage, "service_tier": tier})
    done = command(
        *("backend=openai", "model=gpt-5-mini", "dataset.path=test.jsonl", "output_dir=run"),
        *("runner.budget.usd=1", f"params.service_tier={tier}", "store.raw=false"),
        env=server.env,
    )
    assert done.returncode == 2, done.stderr
    billed = len(server.requests) * each
    assert 0.98 <= billed <= 1.02
    assert spent(tmp_path)["usd"] == pytest.approx(billed, rel=1e-6)
    summary = orjson.loads((tmp_path / "run" / "run_metadata.json").read_bytes())["summary"]
    assert summary["cost_usd"] == pytest.approx(billed, rel=1e-6)
