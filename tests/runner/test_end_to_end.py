"""Whole runs: a real process against a real server."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from conftest import program, rows
from support.fake_openai import FakeOpenAI, Received, Reply, echo
from support.patience import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Command = Callable[..., subprocess.CompletedProcess[str]]

RUN = ("backend=openai", "model=gpt-4o-mini", "dataset=path", "output_dir=run")


def arguments(dataset: Path, *more: str) -> list[str]:
    return [*RUN, f"dataset.path={dataset}", *more]


def without_times(results: Path) -> list[dict[str, Any]]:
    """The lines without what differs between two runs of the same questions."""
    lines = rows(results)
    for line in lines:
        for key in ("trace_id", "latency_ms", "started_at", "completed_at", "attempts"):
            del line[key]
        line.pop("attempt_log", None)
        line["response"].pop("request_id")
    return lines


def assert_all_answered(results: Path, count: int) -> None:
    lines = rows(results)
    assert [line["sample_id"] for line in lines] == [f"s{n}" for n in range(count)]
    texts = [line["response"]["text"] for line in lines]
    assert texts == [echo(f"question {n}") for n in range(count)]


def test_two_thousand_samples_give_two_thousand_answers_in_order(
    command: Command, make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    chance = random.Random(0)

    def behave(_received: Received, _nth: int) -> Reply:
        return Reply(latency=2 if len(server.requests) <= 64 else chance.random() / 20)

    with FakeOpenAI(behave) as server:
        done = command(*arguments(make_dataset(2000), "runner.max_concurrency=64"), env=server.env)
    assert done.returncode == 0, done.stderr
    assert len(server.requests) == 2000
    assert 32 <= server.most_in_flight <= 64
    assert_all_answered(tmp_path / "run" / "run_results.jsonl", 2000)


def test_ten_kills_lose_nothing_and_pay_twice_only_for_what_was_in_flight(
    make_dataset: Callable[..., Path], command: Command, tmp_path: Path
) -> None:
    count, concurrency = 1500, 16
    dataset = make_dataset(count)
    chance = random.Random(1)
    options = [f"runner.max_concurrency={concurrency}"]
    in_flight_at_kills = 0
    with FakeOpenAI(lambda _received, _nth: Reply(latency=0.02)) as server:
        for number in range(10):
            process = subprocess.Popen(
                [*program(), *arguments(dataset, *options)],
                env={**os.environ, **server.env},
                cwd=tmp_path,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            wanted = len(server.requests) + chance.randrange(1, 120)
            deadline = time.monotonic() + 30
            while len(server.requests) < wanted and time.monotonic() < deadline:
                time.sleep(chance.random() / 50)
            process.kill()
            process.wait()
            in_flight_at_kills += concurrency
            if number == 4:
                results = tmp_path / "run" / "run_results.jsonl"
                with results.open("ab") as file:  # a hand-torn last line
                    file.write(results.read_bytes().splitlines()[0][:100])
        done = command(*arguments(dataset, *options), env=server.env)
        assert done.returncode == 0, done.stderr
        twice = sum(times - 1 for times in server.answered.values())
        assert sum(server.answered.values()) - twice == count
        assert 0 < twice <= in_flight_at_kills
        assert len(server.requests) <= count + in_flight_at_kills

        undisturbed = command(*arguments(dataset, "output_dir=other"), env=server.env)
        assert undisturbed.returncode == 0, undisturbed.stderr
    killed = tmp_path / "run" / "run_results.jsonl"
    assert_all_answered(killed, count)
    assert without_times(killed) == without_times(tmp_path / "other" / "run_results.jsonl")


MIX = {"500": 0.05, "503": 0.05, "reset": 0.02, "garbage": 0.02, "hang": 0.01, "fine": 0.85}


def mishap(chance: random.Random) -> Reply:
    (kind,) = chance.choices(list(MIX), list(MIX.values()))
    return {
        "500": Reply(status=500),
        "503": Reply(status=503, headers={"Retry-After": "0.2"}),
        "reset": Reply(reset=True),
        "garbage": Reply(body=b'{"choices": [{"mess'),
        "hang": Reply(hang=True),
        "fine": Reply(latency=0.01),
    }[kind]


def test_a_bad_wire_is_survived_with_retries(
    command: Command, make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    chance = random.Random(2)
    options = ["runner.max_concurrency=64", "runner.max_retries=8", "runner.timeout=2"]
    with FakeOpenAI(lambda _received, _nth: mishap(chance)) as server:
        done = command(*arguments(make_dataset(600), *options), env=server.env)
    assert done.returncode == 0, done.stderr
    assert_all_answered(tmp_path / "run" / "run_results.jsonl", 600)
    assert len(server.requests) > 600
    summary = orjson.loads((tmp_path / "run" / "run_metadata.json").read_bytes())["summary"]
    # What a kept connection lost goes out once more within its attempt.
    assert summary["requests"] == len(server.requests)
    assert 600 < summary["attempts"] <= summary["requests"]
    assert summary["retries"] == summary["attempts"] - 600


def test_without_retries_each_failure_is_one_result_of_its_type(
    command: Command, make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    kinds = {
        1: (Reply(status=500), "InternalServerError", "error", 500),
        2: (Reply(status=503, headers={"Retry-After": "0.1"}), "InternalServerError", "error", 503),
        3: (Reply(reset=True), "APIConnectionError", "error", None),
        4: (Reply(body=b"<html>"), "InvalidResponseError", "error", 200),
        5: (Reply(hang=True), "APITimeoutError", "timeout", None),
        6: (Reply(status=400), "BadRequestError", "error", 400),
    }

    def behave(received: Received, _: int) -> Reply:
        number = int(received.question.split()[-1])
        return kinds[number % 10][0] if number % 10 in kinds else Reply()

    options = ["runner.max_concurrency=20", "runner.max_retries=0", "runner.timeout=10"]
    with FakeOpenAI(behave) as server:
        done = command(*arguments(make_dataset(100), *options), env=server.env)
    assert done.returncode == 1
    assert 100 <= len(server.requests) <= 110, "once each, or again where a kept connection broke"
    lines = rows(tmp_path / "run" / "run_results.jsonl")
    assert [line["sample_id"] for line in lines] == [f"s{n}" for n in range(100)]
    for number, line in enumerate(lines):
        if number % 10 in kinds:
            _, error_type, status, status_code = kinds[number % 10]
            assert line["response"] is None
            assert line["status"] == status
            assert line["error"]["error_type"] == error_type
            assert line["error"]["status_code"] == status_code
        else:
            assert line["error"] is None
            assert line["response"]["text"] == echo(f"question {number}")
    counts = Counter(line["status"] for line in lines)
    assert counts == {"ok": 40, "error": 50, "timeout": 10}


def test_the_same_command_sends_only_what_changed(
    command: Command, make_dataset: Callable[..., Path]
) -> None:
    with FakeOpenAI() as server:
        base = ["backend=openai", "model=m", "dataset=path"]

        def run(*more: str, **changed: str) -> int:
            before = len(server.requests)
            folder = make_dataset(30, **changed)
            done = command(*base, f"dataset.path={folder}", *more, env=server.env)
            assert done.returncode == 0, done.stderr
            return len(server.requests) - before

        assert run() == 30
        assert run() == 0
        assert run("runner.max_concurrency=3", "runner.timeout=5") == 0
        assert run(s7="another question") == 1
        assert run() == 0, "an edit taken back is not paid for again"
        assert run("params.temperature=0.5") == 30


@pytest.mark.parametrize(
    ("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "term"]
)
def test_a_signal_stops_sending_and_keeps_what_was_in_flight(
    number: signal.Signals,
    exit_code: int,
    command: Command,
    make_dataset: Callable[..., Path],
    tmp_path: Path,
) -> None:
    dataset = make_dataset(200)
    with FakeOpenAI(lambda _received, _nth: Reply(latency=0.5)) as server:
        process = start(tmp_path, server, *arguments(dataset, "runner.max_concurrency=10"))
        wait_for(lambda: len(server.requests) >= 15)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=100)
        assert process.returncode == exit_code
        sent = len(server.requests)
        assert sent < 50
        assert len(rows(tmp_path / "run" / "run_results.jsonl")) == sent
        assert f"lm-eval-so {' '.join(RUN)}" in stderr
        assert "Traceback" not in stderr
        metadata = orjson.loads((tmp_path / "run" / "run_metadata.json").read_bytes())
        assert metadata["state"] == "partial"
        assert metadata["summary"]["status_counts"] == {"ok": sent, "owed": 200 - sent}

        server.behave = lambda _received, _nth: Reply()
        assert command(*arguments(dataset), env=server.env).returncode == 0
        assert len(server.requests) == 200
    assert_all_answered(tmp_path / "run" / "run_results.jsonl", 200)


def test_a_second_ctrl_c_stops_at_once(
    make_dataset: Callable[..., Path], command: Command, tmp_path: Path
) -> None:
    dataset = make_dataset(20)

    def behave(received: Received, nth: int) -> Reply:
        return Reply(hang=nth == 1 and received.question == "question 5")

    with FakeOpenAI(behave) as server:
        process = start(tmp_path, server, *arguments(dataset, "runner.max_concurrency=4"))
        results = tmp_path / "run" / "run_results.jsonl"
        wait_for(lambda: results.is_file() and results.read_bytes().count(b"\n") == 19)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert any("once more to give them up" in line for line in process.stderr)
        time.sleep(0.5)
        assert process.poll() is None, "the first waits for what is in flight"
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=20)  # it would be waited for 30
        assert process.returncode == 130
        assert "Traceback" not in stderr
        assert command(*arguments(dataset), env=server.env).returncode == 0
        assert len(server.requests) == 21
    assert_all_answered(tmp_path / "run" / "run_results.jsonl", 20)


def test_a_full_disk_is_one_sentence_and_loses_nothing(
    make_dataset: Callable[..., Path], command: Command, tmp_path: Path
) -> None:
    dataset = make_dataset(200)
    with FakeOpenAI() as server:
        limited = ["bash", "-c", 'ulimit -f 40; exec "$0" "$@"', *program()]  # 40 KiB a file
        done = subprocess.run(
            [*limited, *arguments(dataset)],
            env={**os.environ, **server.env},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        assert done.stderr.count("cannot write run/run_results.jsonl: File too large") == 1
        kept = len(rows(tmp_path / "run" / "run_results.jsonl"))
        assert 0 < kept < 200
        sent = len(server.requests)
        assert command(*arguments(dataset), env=server.env).returncode == 0
        assert len(server.requests) - sent == 200 - kept
    assert_all_answered(tmp_path / "run" / "run_results.jsonl", 200)


def refuses(status: int, **error: str) -> Callable[[Received, int], Reply]:
    return lambda _received, _nth: Reply(status=status, text="the reason", extra=error)


@pytest.mark.parametrize(
    ("behave", "sentence"),
    [
        pytest.param(
            refuses(401), "the reason: check the key in the variable OPENAI_API_KEY", id="wrong-key"
        ),
        pytest.param(
            refuses(404),
            "has no model 'gpt-4o-mini-typo'; it has gpt-4o-mini, gpt-4o, o3",
            id="unknown-model",
        ),
        pytest.param(
            refuses(429, code="insufficient_quota"), "check the key in the variable", id="quota"
        ),
        pytest.param(refuses(400, code="unsupported_parameter"), "the reason", id="parameter"),
        pytest.param(refuses(422), "the reason", id="unprocessable"),
        pytest.param(refuses(405), "the reason", id="method"),
        pytest.param(refuses(403), "the reason", id="forbidden"),
    ],
)
def test_a_wrong_setting_stops_the_run_early_and_everything_stays_owed(
    command: Command,
    make_dataset: Callable[..., Path],
    tmp_path: Path,
    behave: Callable[[Received, int], Reply],
    sentence: str,
) -> None:
    count = 1000
    run = arguments(make_dataset(count), "runner.max_concurrency=64", "model=gpt-4o-mini-typo")
    with FakeOpenAI(behave) as server:
        done = command(*run, env=server.env)
        assert done.returncode == 2
        assert len(server.requests) < 64 + 10, "as each of the first refusals frees its slot"
        errors = [line for line in done.stderr.splitlines() if "ERROR" in line]
        assert len(errors) == 1
        assert sentence in errors[0]
        assert "esume with" not in errors[0], "the same command would fail again"
        assert "Fix this, then run the command again to resume." in errors[0]
        assert rows(tmp_path / "run" / "run_results.jsonl") == []
        server.behave = lambda _received, _nth: Reply()
        assert command(*run, env=server.env).returncode == 0
    assert_all_answered(tmp_path / "run" / "run_results.jsonl", count)


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_refusals_of_the_first_samples_are_results_once_another_is_answered(
    command: Command, make_dataset: Callable[..., Path], tmp_path: Path, status: int
) -> None:
    def behave(received: Received, _: int) -> Reply:
        number = int(received.question.split()[-1])
        return Reply(status=status, text="flagged") if number < 7 else Reply(latency=0.1)

    with FakeOpenAI(behave) as server:
        done = command(*arguments(make_dataset(100)), env=server.env)
        assert len(server.requests) == 100
    assert done.returncode == 1
    assert "flagged" in done.stdout, "the table says why"
    lines = rows(tmp_path / "run" / "run_results.jsonl")
    assert Counter(line["status"] for line in lines) == {"error": 7, "ok": 93}


def test_a_rest_that_is_flagged_gets_through_on_the_next_command(
    command: Command, make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    def behave(received: Received, _: int) -> Reply:
        number = int(received.question.split()[-1])
        return Reply(status=403, text="flagged") if number % 2 else Reply()

    run = arguments(make_dataset(40))
    with FakeOpenAI(behave) as server:
        assert command(*run, env=server.env).returncode == 1
        assert command(*run, env=server.env).returncode == 1
        assert len(server.requests) == 40 + 20
        server.behave = refuses(401)
        done = command(*run, env=server.env)
        assert done.returncode == 2, "the key may be another since"
        assert "the reason: check the key" in done.stderr
    lines = rows(tmp_path / "run" / "run_results.jsonl")
    assert Counter(line["status"] for line in lines) == {"error": 20, "ok": 20}


OUTAGES = {
    "502": Reply(status=502, body=b"<html>\n<h1>502 Bad Gateway</h1></html>"),
    "503": Reply(status=503),
    "504": Reply(status=504, latency=0.3),
    "500": Reply(status=500, text="litellm.InternalServerError: Connection error."),
    "reset": Reply(reset=True),
    "page": Reply(body=b"<!doctype html><title>Back soon</title>"),
}


@pytest.mark.parametrize(
    ("kind", "at_once"),
    [*((kind, "4") for kind in OUTAGES), ("502", "1"), ("502", "16"), ("502", "auto")],
)
def test_an_outage_behind_a_gateway_costs_no_sample_and_few_requests(
    command: Command, make_dataset: Callable[..., Path], tmp_path: Path, kind: str, at_once: str
) -> None:
    failed: list[float] = []

    def behave(received: Received, _: int) -> Reply:
        # As long as it takes to see that it is one.
        few = len(failed) < server.most_in_flight + 3
        if len(server.requests) > 30 and (few or received.at < failed[0] + 1.5):
            failed.append(received.at)
            return OUTAGES[kind]
        return Reply(latency=0.01)

    with FakeOpenAI(behave) as server:
        options = (f"runner.max_concurrency={at_once}", "runner.max_retries=0")
        done = command(*arguments(make_dataset(150), *options), env=server.env)
    assert done.returncode == 0, done.stderr
    assert_all_answered(tmp_path / "run" / "run_results.jsonl", 150)
    workers = max(23, 2 * (64 if at_once == "auto" else int(at_once)))
    assert len(failed) <= workers + 15, "once for each that was under way, and the probes"
    assert "the server is back after" in done.stderr


def test_a_server_that_is_not_there_ends_the_run_and_everything_stays_owed(
    command: Command, make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    with FakeOpenAI() as server:
        pass
    run = arguments(make_dataset(300), "runner.max_concurrency=64", "runner.breaker.wait=0.5")
    done = command(*run, env=server.env)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    (error,) = [line for line in done.stderr.splitlines() if "ERROR" in line]
    assert f"no server takes connections at {server.base_url}" in error
    assert rows(tmp_path / "run" / "run_results.jsonl") == []
    with FakeOpenAI(port=server.port):
        assert command(*run, env=server.env).returncode == 0
    assert_all_answered(tmp_path / "run" / "run_results.jsonl", 300)


def test_a_server_that_dies_and_comes_back_costs_no_sample(
    make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    run = arguments(make_dataset(1000), "runner.max_concurrency=64")
    with FakeOpenAI(lambda _received, _nth: Reply(latency=0.05)) as server:
        process = subprocess.Popen(
            [*program(), *run], env={**os.environ, **server.env}, cwd=tmp_path
        )
        while len(server.requests) < 200:
            time.sleep(0.01)
    time.sleep(5)
    with FakeOpenAI(port=server.port):
        assert process.wait(60) == 0
    assert_all_answered(tmp_path / "run" / "run_results.jsonl", 1000)


def test_multi_turn_samples_arrive_message_for_message(
    command: Command, tmp_path: Path, server: FakeOpenAI
) -> None:
    conversation = [
        {"role": "system", "content": "친절하게 답하세요."},
        {"role": "user", "content": "My colour is green.", "name": "minji"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "type": "function"}]},
        {"role": "tool", "tool_call_id": "c1", "content": "noted"},
        {"role": "assistant", "content": "Green it is."},
        {"role": "user", "content": [{"type": "text", "text": "Which?"}, {"type": "image_url"}]},
    ]
    sample = {"id": "한국어 1", "messages": conversation, "own": "key"}
    (tmp_path / "talk.jsonl").write_bytes(orjson.dumps(sample))
    server.behave = lambda _received, _nth: Reply(text="green")
    done = command(*arguments(tmp_path / "talk.jsonl"), env=server.env)
    assert done.returncode == 0, done.stderr
    assert [request.body["messages"] for request in server.requests] == [conversation]
    (line,) = rows(tmp_path / "run" / "run_results.jsonl")
    assert line["request_messages"] == conversation


def start(folder: Path, server: FakeOpenAI, *overrides: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*program(), *overrides],
        env={**os.environ, **server.env},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
