from __future__ import annotations

import asyncio
import math
import random
from statistics import median
from typing import TYPE_CHECKING

import orjson
import pytest

from lm_eval_so.runner.backends.simulated import SimulatedBackend
from lm_eval_so.runner.errors import (
    APITimeoutError,
    BackendError,
    BackendSetupError,
    ConfigError,
    InternalServerError,
    InvalidResponseError,
    RateLimitError,
)
from lm_eval_so.runner.models import ChatResponse, RunConfig, RunRequest, TestSample, TokenUsage
from lm_eval_so.runner.strategy.timeout import InFlight, Timeout
from support.requests import request_of

if TYPE_CHECKING:
    from pathlib import Path

DRAWS = 5000


class Bench:
    """A backend whose sleeps are only noted; a sleep for ever says so."""

    def __init__(self, **options: object) -> None:
        self.sleeps: list[float] = []
        config = RunConfig(backend="simulated", model="sim", backend_options=options)
        self.backend = SimulatedBackend(config, sleep=self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        if seconds == math.inf:
            raise TimeoutError
        await asyncio.sleep(0)

    def request(
        self, name: str = "s0", content: object = "question", attempt: int = 1, tags: str = ""
    ) -> RunRequest:
        sample = TestSample.model_validate(
            {
                "id": name,
                "messages": [{"role": "user", "content": content}],
                "tags": tags.split(),
            }
        )
        request = request_of(sample, 0, self.backend.config, "0123456789abcdef", "trace")
        return request.with_(attempt=attempt)

    async def outcome(self, asked: RunRequest) -> str:
        try:
            return (await self.backend.send(asked)).text
        except (BackendError, TimeoutError) as error:
            return type(error).__name__

    def ask(self, asked: RunRequest | None = None) -> ChatResponse:
        return asyncio.run(self.backend.send(asked or self.request()))  # type: ignore[arg-type]


MIX = {"rate_limited": 0.2, "server_error": 0.2, "garbage": 0.1, "hang": 0.1, "refusal": 0.1}


def outcomes(requests: list[tuple[str, int]], *, at_once: bool, seed: int = 0) -> dict[object, str]:
    bench = Bench(seed=seed, **MIX)

    async def main() -> dict[object, str]:
        asked = [bench.request(name, attempt=attempt) for name, attempt in requests]
        if at_once:
            found = await asyncio.gather(*map(bench.outcome, asked))
        else:
            found = [await bench.outcome(one) for one in asked]
        return dict(zip(requests, found, strict=True))

    return asyncio.run(main())


def test_what_happens_depends_on_the_seed_and_not_on_the_order() -> None:
    requests = [(f"s{n}", attempt) for n in range(100) for attempt in (1, 2)]
    first = outcomes(requests, at_once=False)
    shuffled = random.Random(0).sample(requests, len(requests))
    assert outcomes(shuffled, at_once=True) == first
    assert outcomes(requests, at_once=False, seed=1) != first
    assert len(set(first.values())) > 4
    assert any(first[f"s{n}", 1] != first[f"s{n}", 2] for n in range(100)), "a retry may pass"


def test_a_seed_draws_what_it_drew_before_answers_could_be_truncated() -> None:
    found = outcomes([(f"s{n}", 1) for n in range(40)], at_once=False)
    first_letters = "".join(str(outcome)[0] for outcome in found.values())
    assert first_letters == "IIqIRIIIIIqIqRRITIqqIqRIqRqqRIIqIIRTqqII"


KINDS = {
    "rate_limited": "RateLimitError",
    "server_error": "InternalServerError",
    "timeout": "APITimeoutError",
    "hang": "TimeoutError",
    "garbage": "InvalidResponseError",
    "refusal": "I'm sorry, but I can't help with that.",
    "truncated": "fi",
}


def test_shares_are_met_over_many_draws() -> None:
    shares = {name: 0.02 * place for place, name in enumerate(KINDS, start=1)}
    bench = Bench(answer="fixed", text="fine", **shares)

    async def main() -> list[str]:
        return [await bench.outcome(bench.request(f"s{n}")) for n in range(DRAWS)]

    found = asyncio.run(main())
    expected = {KINDS[name]: share for name, share in shares.items()}
    expected["fine"] = 1 - sum(shares.values())
    assert set(found) == set(expected)
    for outcome, share in expected.items():
        five_sigma = 5 * math.sqrt(DRAWS * share * (1 - share))
        assert abs(found.count(outcome) - DRAWS * share) < five_sigma, outcome


@pytest.mark.parametrize(
    ("name", "kind", "code", "retry_after"),
    [
        ("rate_limited", RateLimitError, 429, 2.5),
        ("server_error", InternalServerError, 500, None),
        ("timeout", APITimeoutError, None, None),
        ("garbage", InvalidResponseError, 200, None),
    ],
)
def test_mishaps_look_like_those_of_a_server(
    name: str, kind: type[BackendError], code: int | None, retry_after: float | None
) -> None:
    bench = Bench(retry_after=2.5, **{name: 1})
    with pytest.raises(kind) as raised:
        bench.ask()
    assert type(raised.value) is kind
    assert (raised.value.status_code, raised.value.retry_after) == (code, retry_after)
    assert raised.value.retryable
    assert len(bench.sleeps) == 1, "after the latency"


def test_a_hang_ends_by_the_timeout_alone() -> None:
    config = RunConfig(backend="simulated", model="m", backend_options={"hang": 1})
    send = Timeout(0.03, InFlight()).wrap(SimulatedBackend(config).send)
    with pytest.raises(APITimeoutError, match=r"no answer within 0\.03 s"):
        asyncio.run(send(Bench().request()))  # type: ignore[arg-type]


def test_a_refusal_is_an_answer() -> None:
    answer = Bench(refusal=1).ask()
    assert answer.text == KINDS["refusal"]
    assert answer.refusal == answer.text


@pytest.mark.parametrize(("text", "half"), [("12345678", "1234"), ("한국어", "한"), ("", "")])
def test_a_truncated_answer_is_the_first_half(text: str, half: str) -> None:
    answer = Bench(answer="fixed", text=text, truncated=1).ask()
    assert (answer.text, answer.finish_reason, answer.status_code) == (half, "length", 200)
    assert answer.tokens is not None
    assert answer.tokens.output == math.ceil(len(half) / 4)


@pytest.mark.parametrize(
    ("tags", "outcome"),
    [
        pytest.param("", "InvalidResponseError", id="no-tag"),
        pytest.param("other", "InvalidResponseError", id="another-tag"),
        pytest.param("other ko", "InternalServerError", id="a-tag-with-shares"),
        pytest.param("fine ko", "question", id="the-first-tag-of-the-sample"),
        pytest.param("ko fine", "InternalServerError", id="and-not-of-the-config"),
    ],
)
def test_shares_of_a_tag_hold_in_place_of_the_general_ones(tags: str, outcome: str) -> None:
    by_tag = {"fine": {"garbage": 0}, "ko": {"garbage": 0, "server_error": 1}}
    bench = Bench(garbage=1, by_tag=by_tag)
    assert asyncio.run(bench.outcome(bench.request(tags=tags))) == outcome


def test_a_share_that_a_tag_does_not_name_is_the_general_one() -> None:
    bench = Bench(server_error=0.5, by_tag={"ko": {"garbage": 0.5}})

    async def main() -> set[str]:
        return {await bench.outcome(bench.request(f"s{n}", tags="ko")) for n in range(100)}

    assert asyncio.run(main()) == {"InternalServerError", "InvalidResponseError"}


def test_the_latency_has_the_median_asked_for() -> None:
    bench = Bench(latency_ms=200, latency_sigma=0.5)

    async def main() -> None:
        for number in range(DRAWS):
            await bench.backend.send(bench.request(f"s{number}"))

    asyncio.run(main())
    assert median(bench.sleeps) == pytest.approx(0.2, rel=0.05)
    spread = [math.log(seconds / 0.2) for seconds in bench.sleeps]
    assert math.sqrt(sum(x * x for x in spread) / DRAWS) == pytest.approx(0.5, rel=0.05)


def test_without_spread_the_latency_is_constant() -> None:
    bench = Bench(latency_ms=80, latency_sigma=0)
    for number in range(3):
        bench.ask(bench.request(f"s{number}"))
    assert bench.sleeps == [0.08] * 3


@pytest.mark.parametrize("content", ["", "한국어", "question"])
def test_an_echo_says_the_last_message(content: str) -> None:
    bench = Bench()
    answer = bench.ask(bench.request(content=content))
    tokens = math.ceil(len(content) / 4)
    assert answer.text == content
    assert answer.tokens == TokenUsage(input=tokens, output=tokens, total=2 * tokens)
    assert (answer.model, answer.finish_reason, answer.status_code) == ("sim", "stop", 200)
    assert answer.request_id == "simulated-0123456789ab"


def test_a_fixed_answer_and_fixed_tokens() -> None:
    answer = Bench(answer="fixed", text="42", input_tokens=100, output_tokens=0).ask()
    assert answer.text == "42"
    assert answer.tokens == TokenUsage(input=100, output=0, total=100)


def test_answers_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    rows = [{"id": "s0", "text": "영"}, {"id": "s1", "text": "", "more": 1}]
    path.write_bytes(b"\n\n".join(map(orjson.dumps, rows)) + b"\n")
    bench = Bench(answer="file", answers_path=str(path))
    assert bench.ask(bench.request("s0")).text == "영"
    assert bench.ask(bench.request("s1")).text == ""
    with pytest.raises(BackendError, match="has no answer for this sample") as raised:
        bench.ask(bench.request("s2"))
    assert not raised.value.retryable


def test_the_file_of_answers_is_part_of_the_identity(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.touch()
    identity = Bench(answer="file", answers_path=str(path)).backend.identity_options
    assert orjson.loads(orjson.dumps(identity))["answers_path"] == str(path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "cannot be read: No such file"),
        ("no json", "each line must be"),
        ('{"id": "s0"}', "each line must be"),
        ("[1]", "each line must be"),
    ],
    ids=["missing", "no-json", "no-text", "array"],
)
def test_a_bad_file_of_answers_is_one_sentence(
    text: str | None, sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / "answers.jsonl"
    if text is not None:
        path.write_text(text)
    with pytest.raises(BackendSetupError, match=sentence):
        Bench(answer="file", answers_path=str(path))


def test_answers_from_a_file_need_the_file() -> None:
    with pytest.raises(ConfigError, match=r"needs backend\.options\.answers_path"):
        Bench(answer="file")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        pytest.param(
            {"hang": 0.6, "garbage": 0.6},
            "backend.options: the shares hang=0.6, garbage=0.6 add up to 1.2, which is more than 1",
            id="in-general",
        ),
        pytest.param(
            {"hang": 0.6, "by_tag": {"ko": {"garbage": 0.5}}},
            "backend.options.by_tag.ko: the shares hang=0.6, garbage=0.5 add up to 1.1, "
            "which is more than 1",
            id="of-a-tag-with-the-general-ones",
        ),
        pytest.param(
            {"by_tag": {"ko": {"garbage": 2}}},
            "backend.options.by_tag.ko.garbage must be at most 1, got 2",
            id="one-alone",
        ),
        pytest.param(
            {"by_tag": {"ko": {"server_eror": 0.1}}},
            "unknown key 'backend.options.by_tag.ko.server_eror'; "
            "did you mean 'backend.options.by_tag.ko.server_error'?",
            id="a-typo",
        ),
    ],
)
def test_shares_that_cannot_be_are_refused(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError) as raised:
        Bench(**options)
    assert str(raised.value) == sentence


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({"latency_ms": 1}, True),
        ({"retry_after": 9}, True),
        ({"truncated": 0, "by_tag": {}}, True),
        ({"seed": 1}, False),
        ({"truncated": 0.1}, False),
        ({"by_tag": {"ko": {"hang": 0.1}}}, False),
    ],
    ids=str,
)
def test_only_what_changes_answers_is_part_of_the_identity(
    changed: dict[str, object], *, same: bool
) -> None:
    before = {"seed", "answer", "text", "rate_limited", "server_error", "timeout", "hang"}
    before |= {"garbage", "refusal"}
    assert set(Bench().backend.identity_options) == before, "as in the first release"
    identities = [Bench(**options).backend.identity_options for options in ({}, changed)]
    assert (identities[0] == identities[1]) is same
