"""Answers that are spoiled on their way: none ends a run, and none becomes another answer."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.runner.backends.openai.answer import AnswerReader
from lm_eval_so.runner.backends.openai.completion import AnswerOptions
from lm_eval_so.runner.config.schema import RunnerOptions
from lm_eval_so.runner.errors import BackendError
from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.models import ChatResponse, RunConfig, RunRequest, TestSample
from lm_eval_so.runner.run.recorder import Recorder
from lm_eval_so.runner.store.line import as_line
from lm_eval_so.runner.store.read import read_results
from lm_eval_so.runner.store.results import ResultsFile
from lm_eval_so.runner.strategy.retry import Retry, as_outcome
from support.completions import as_response, read_answer
from support.mutate import Answer, change_bytes, change_part, cut, in_pieces, valid
from support.requests import request_of

if TYPE_CHECKING:
    from pathlib import Path

HEADERS = {"x-request-id": "r\udce9", "x-litellm-response-cost": "0.5"}
CONFIG = RunConfig(backend="openai", model="m")
WAYS = (change_part, change_bytes, cut)


def read(chance: Random, answer: Answer, body: bytes) -> ChatResponse:
    """What the backend makes of a body, asked for as a stream or not."""
    if chance.random() < 0.5:
        return read_answer(body, 200, HEADERS, AnswerOptions(answer.choices))
    reader = AnswerReader(AnswerOptions(answer.choices))
    for piece in in_pieces(chance, body):
        reader.feed(piece, 1.0)
        if reader.done:
            break
    return as_response(reader.completion(), 200, HEADERS)


def answered(chance: Random, answer: Answer, body: bytes) -> ChatResponse | None:
    try:
        return read(chance, answer, body)
    except BackendError as error:
        assert error.message  # noqa: PT017 - a failure is as right as an answer
        return None


def test_answers_that_nothing_happened_to_are_read_whole() -> None:
    for seed in range(2000):
        chance = Random(seed)
        answer = valid(chance)
        response = answered(chance, answer, answer.body())
        assert response is not None, seed
        assert response.text == answer.text, seed
        assert response.finish_reason == "stop"
        assert len(response.raw["choices"]) == answer.choices
        assert response.tokens is not None


def test_20000_spoiled_answers_are_20000_lines_and_no_cut_one_is_an_answer(tmp_path: Path) -> None:
    file = ResultsFile(tmp_path / "run_results.jsonl")
    recorder, redactor = Recorder("d", [CONFIG]), Redactor(["sk-fake-0123456789"])
    made: dict[str, tuple[Random, Answer, bytes]] = {}

    async def send(request: RunRequest) -> ChatResponse:
        return read(*made.pop(request.sample_id))

    async def main() -> None:
        settle = as_outcome(Retry(RunnerOptions(max_retries=0)).wrap(send))
        for seed in range(20_000):
            chance = Random(seed)
            answer, way = valid(chance), chance.choice(WAYS)
            sample = TestSample(id=f"s{seed}", messages=[{"role": "user", "content": "q"}])
            request = request_of(sample, seed, CONFIG, "key", "trace")
            made[sample.id] = chance, answer, way(chance, answer)
            outcome = await settle(request)
            kept, line = as_line(recorder.record(request, outcome), redactor)
            file.append(line)
            if way is cut and kept.response is not None:  # what is gone comes after the answer
                assert answer.streamed, seed
                assert kept.response.text == answer.text, seed
                assert kept.response.finish_reason == "stop", seed

    asyncio.run(main())
    file.close()
    found = Counter(result.status for result in read_results(tmp_path))
    assert found.total() == 20_000
    assert min(found["ok"], found["error"]) > 4000, (
        "the mutations are neither all mild nor all fatal"
    )


def test_a_change_beside_the_text_loses_none_of_it() -> None:
    read_well = 0
    for seed in range(10_000):
        chance = Random(seed)
        answer = valid(chance)
        response = answered(chance, answer, change_part(chance, answer, beside_the_text=True))
        if response is not None:
            assert response.text == answer.text, seed
            read_well += 1
    assert read_well > 8000


@pytest.mark.parametrize("seed", range(40))
def test_a_stream_that_is_cut_anywhere_is_no_answer_before_its_finish_reasons(seed: int) -> None:
    chance = Random(seed)
    answer = valid(chance)
    body = answer.body()
    needed = body.rindex(b'"stop"') if answer.streamed else len(body)
    for end in range(needed):
        assert answered(chance, answer, body[:end]) is None
