"""What a server answers is seen in the line, the summary, the end table and the verdict."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from conftest import rows
from support.fake_openai import Reply

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from support.fake_openai import FakeOpenAI, Received

    Command = Callable[..., subprocess.CompletedProcess[str]]

CALL = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}


def answer(finish_reason: str | None = "stop", **message: Any) -> Reply:  # noqa: ANN401 - JSON
    """A choice that says this."""
    whole = {"role": "assistant", "content": None, **message}
    return Reply(
        extra={"choices": [{"index": 0, "finish_reason": finish_reason, "message": whole}]}
    )


class Seen:
    """What a run of four questions, one of which is answered in a special way, has left."""

    def __init__(self, done: subprocess.CompletedProcess[str], directory: Path) -> None:
        self.code, self.shown = done.returncode, done.stdout
        self.said = done.stderr
        self.line = rows(directory / "run_results.jsonl")[0]
        metadata = json.loads((directory / "run_metadata.json").read_bytes())
        self.summary, self.verdict = metadata["summary"], metadata["verdict"]


@pytest.fixture
def run(command: Command, server: FakeOpenAI, tmp_path: Path) -> Callable[..., Seen]:
    samples = [
        {"id": f"s{n}", "messages": [{"role": "user", "content": f"q{n}"}]} for n in range(4)
    ]
    (tmp_path / "test.jsonl").write_bytes(b"\n".join(map(orjson.dumps, samples)))

    def of(reply: Reply, *arguments: str) -> Seen:
        def behave(received: Received, _: int) -> Reply:
            return reply if received.question == "q0" else Reply()

        server.behave = behave
        usual = ("backend=openai", "dataset.path=test.jsonl", "output_dir=run")
        done = command(*usual, "model=gpt-5-mini", *arguments, env=server.env)
        return Seen(done, tmp_path / "run")

    return of


def test_an_empty_answer_that_was_cut_off(run: Callable[..., Seen]) -> None:
    seen = run(answer("length", content=""))
    assert (seen.line["response"]["text"], seen.line["response"]["finish_reason"]) == ("", "length")
    assert (seen.summary["truncated"], seen.summary["empty"]) == (1, 1)
    assert seen.summary["finish_reasons"] == {"stop": 3, "length": 1}
    assert "answers   1 truncated, 1 empty\n" in _plain(seen.shown)
    cut = "1 of 4 samples (25%) were cut off by a limit on their tokens"
    assert seen.verdict["outcome"] == "complete"
    assert seen.verdict["warnings"] == [cut, "1 of 4 samples (25%) have an empty answer"]
    assert f"warning   {cut}\n" in seen.shown
    assert seen.code == 0


def test_half_an_answer_is_a_fault_where_a_gate_says_so(run: Callable[..., Seen]) -> None:
    seen = run(answer("max_tokens", content="half an ans"), "runner.gate.truncated=0.05")
    assert seen.line["response"]["finish_reason"] == "length"
    assert seen.line["response"]["raw"]["choices"][0]["finish_reason"] == "max_tokens"
    reason = (
        "1 of 4 samples (25%) were cut off by a limit on their tokens, "
        "more than runner.gate.truncated=0.05"
    )
    assert seen.verdict == {"outcome": "invalid", "reasons": [reason], "warnings": []}
    assert f"verdict   invalid: {reason}\n" in seen.shown
    assert seen.code == 1


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (answer(refusal="I cannot help."), "1 refused"),
        (answer("content_filter", content=""), "1 refused, 1 empty"),
        (answer("SAFETY", content="half"), "1 refused"),
    ],
    ids=["refusal", "content-filter", "gemini"],
)
def test_a_refusal_is_counted_as_one(run: Callable[..., Seen], reply: Reply, words: str) -> None:
    seen = run(reply, "runner.gate.refused=0")
    assert seen.summary["refused"] == 1
    assert f"answers   {words}\n" in _plain(seen.shown)
    reason = "1 of 4 samples (25%) were refused an answer, more than runner.gate.refused=0"
    assert seen.verdict["reasons"] == [reason]
    assert (seen.verdict["outcome"], seen.code) == ("invalid", 1)


def test_tool_calls_alone_are_an_answer(run: Callable[..., Seen]) -> None:
    seen = run(answer("tool_calls", tool_calls=[CALL]))
    assert seen.line["response"]["tool_calls"] == [CALL]
    assert seen.summary["finish_reasons"] == {"stop": 3, "tool_calls": 1}
    assert (seen.summary["empty"], seen.verdict) == (
        0,
        {"outcome": "complete", "reasons": [], "warnings": []},
    )
    assert "answers" not in _plain(seen.shown).replace("first answers", "")


def test_reasoning_alone_is_an_empty_answer(run: Callable[..., Seen]) -> None:
    usage = {
        "prompt_tokens": 7,
        "completion_tokens": 64,
        "total_tokens": 71,
        "completion_tokens_details": {"reasoning_tokens": 64},
    }
    reply = answer("length", content="", reasoning_content="Let me think")
    reply.extra["usage"] = usage
    seen = run(reply)
    assert seen.line["response"]["reasoning"] == "Let me think"
    assert seen.line["response"]["tokens"]["reasoning"] == 64
    assert (seen.summary["truncated"], seen.summary["empty"]) == (1, 1)
    assert "28 in, 73 out (64 reasoning)\n" in _plain(seen.shown)


def test_three_choices_are_all_kept(run: Callable[..., Seen]) -> None:
    choices = [
        {"index": n, "finish_reason": reason, "message": {"role": "assistant", "content": text}}
        for n, (text, reason) in enumerate([("a", "stop"), ("b", "length"), ("c", "stop")])
    ]
    seen = run(Reply(extra={"choices": choices}), "params.n=3")
    assert seen.line["response"]["text"] == "a"
    assert seen.line["response"]["choices"] == [
        {"text": "a", "finish_reason": "stop"},
        {"text": "b", "finish_reason": "length"},
        {"text": "c", "finish_reason": "stop"},
    ]
    assert seen.summary["finish_reasons"] == {"stop": 11, "length": 1}
    assert "answers   1 truncated\n" in _plain(seen.shown)
    assert seen.verdict["warnings"]


USAGE = {
    "prompt_tokens": 10_000,
    "completion_tokens": 100,
    "total_tokens": 10_100,
    "prompt_tokens_details": {"cached_tokens": 8_000},
}


@pytest.mark.parametrize(
    ("tier", "cost"),
    [(None, 0.0009), ("flex", 0.00045), ("priority", 0.00162)],
    ids=["standard", "flex", "priority"],
)
def test_the_cost_is_that_of_the_cache_and_of_the_tier(
    run: Callable[..., Seen], tier: str | None, cost: float
) -> None:
    extra = {"usage": USAGE, **({"service_tier": tier} if tier else {})}
    seen = run(Reply(extra=extra), f"params.service_tier={tier or 'null'}")
    assert seen.line["response"]["tokens"]["cached"] == 8_000
    assert seen.line["response"].get("service_tier") == tier
    assert seen.line["cost_usd"] == pytest.approx(cost)
    assert "(8,000 cached)" in seen.shown


def test_a_tier_whose_price_nobody_knows_is_told(run: Callable[..., Seen]) -> None:
    seen = run(Reply(extra={"usage": USAGE, "service_tier": "turbo"}))
    assert seen.line["cost_usd"] == pytest.approx(0.0009)
    assert "no price of the model gpt-5-mini at the service tier 'turbo' is known" in seen.said


def test_another_model_in_the_middle_is_told(run: Callable[..., Seen]) -> None:
    one_by_one = ("runner.max_concurrency=1", "runner.gate.model_changes=0")
    seen = run(Reply(extra={"model": "gpt-5-mini-old"}), *one_by_one)
    assert seen.line["response"]["model"] == "gpt-5-mini-old"
    served = seen.summary["models"]
    assert {name: found["answers"] for name, found in served.items()} == {
        "gpt-5-mini-old": 1,
        "gpt-5-mini-2026-01-01": 3,
    }
    (reason,) = seen.verdict["reasons"]
    words = "the model changed during the run: gpt-5-mini-old, then gpt-5-mini-2026-01-01"
    assert reason.startswith(f"{words} (first at sample s1, ")
    assert f"verdict   invalid: {words}" in seen.shown
    assert seen.code == 1


def test_lines_that_are_there_keep_their_raw_answer(
    run: Callable[..., Seen], server: FakeOpenAI
) -> None:
    before = run(Reply()).line
    assert run(Reply(), "store.raw=false").line == before
    assert "raw" in before["response"]
    assert len(server.requests) == 4, "nothing was asked again"


def test_a_line_without_raw_is_shorter(
    command: Command, server: FakeOpenAI, run: Callable[..., Seen], tmp_path: Path
) -> None:
    whole = run(Reply(text="word " * 1000)).line
    command(
        *("backend=openai", "dataset.path=test.jsonl", "model=gpt-5-mini"),
        *("output_dir=lean", "store.raw=false", "store.record_headers=[X-Request-Id,absent]"),
        env=server.env,
    )
    lean = rows(tmp_path / "lean" / "run_results.jsonl")[0]
    assert "raw" not in lean["response"]
    assert lean["response"]["recorded_headers"].keys() == {"X-Request-Id"}
    assert len(json.dumps(lean)) < 0.6 * len(json.dumps(whole))
    kept = whole["response"].keys() - {"raw"}
    assert lean["response"].keys() == {*kept, "recorded_headers"}


def _plain(text: str) -> str:
    """Without the spaces that fill a table's last column."""
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"
