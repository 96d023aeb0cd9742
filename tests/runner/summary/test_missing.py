from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Any

import pytest

from lm_eval_so.runner.models import ChatResponse
from lm_eval_so.runner.summary.answers import kinds_of
from lm_eval_so.runner.summary.missing import Missing, text_length
from support.results import result

if TYPE_CHECKING:
    from collections.abc import Iterable

STOP, LENGTH, NO_ANSWER = "stop", "length", None


def line(
    finish_reason: str | None = STOP,
    *tags: str,
    length: int = 100,
    repeat: int = 0,
) -> dict[str, Any]:
    """A RunResult line; without a finish reason it has failed."""
    response = None if finish_reason is None else {"text": "", "finish_reason": finish_reason}
    return {
        "status": "error" if finish_reason is None else "ok",
        "repeat": repeat,
        "request_messages": [{"role": "user", "content": "x" * length}],
        "request_context": {"sample_tags": list(tags)},
        "response": response,
    }


def is_cut(line: dict[str, Any]) -> bool:
    return line["response"] is not None and kinds_of(line["response"]).truncated


def sentences(lines: Iterable[dict[str, Any]]) -> list[str]:
    missing = Missing()
    for index, each in enumerate(lines):
        missing.add(index, each, truncated=is_cut(each))
    return missing.sentences()


def mixed(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """In an order by chance, so that nothing depends on the place."""
    return random.Random(0).sample(lines, len(lines))


def group(finish_reason: str | None, missing: int, size: int, *tags: str) -> list[dict[str, Any]]:
    """So many samples with these tags, so many of them missing."""
    gone = [line(finish_reason, *tags) for _ in range(missing)]
    return gone + [line(STOP, *tags) for _ in range(size - missing)]


def test_a_tag_with_more_failures_is_named_with_its_counts() -> None:
    lines = group(NO_ANSWER, 31, 120, "ko", "all") + group(NO_ANSWER, 18, 430, "en", "all")
    expected = "failures are 6.2 times as common among tag ko: 31 of 120, others 18 of 430"
    assert sentences(mixed(lines)) == [expected]


def test_a_tag_with_fewer_failures_is_named_too() -> None:
    lines = group(NO_ANSWER, 40, 200) + group(NO_ANSWER, 60, 1200, "en")
    expected = "failures are 4 times as common outside tag en: 40 of 200, others 60 of 1,200"
    assert sentences(mixed(lines)) == [expected]


def test_failures_of_one_tag_alone_are_told_as_such() -> None:
    lines = group(NO_ANSWER, 12, 60, "ko") + group(NO_ANSWER, 0, 340)
    expected = "failures occur only among tag ko: 12 of 60, others 0 of 340"
    assert sentences(mixed(lines)) == [expected]


def test_if_most_fail_it_is_those_that_are_left_that_count() -> None:
    lines = group(NO_ANSWER, 118, 120, "ko") + group(NO_ANSWER, 330, 430)
    expected = "failures are more common among tag ko: 118 of 120, others 330 of 430"
    assert sentences(mixed(lines)) == [expected]


def test_truncation_is_told_of_samples_with_an_answer() -> None:
    lines = group(LENGTH, 30, 100, "code") + group(LENGTH, 10, 300)
    lines += group(NO_ANSWER, 15, 15, "code") + group(NO_ANSWER, 45, 45)
    expected = "truncated answers are 9 times as common among tag code: 30 of 100, others"
    assert sentences(mixed(lines)) == [f"{expected} 10 of 300"]


def test_failures_and_truncation_are_told_apart() -> None:
    lines = group(NO_ANSWER, 40, 100, "ko") + group(LENGTH, 40, 100, "code") + group(STOP, 0, 300)
    first, second = sentences(mixed(lines))
    assert first.startswith("failures occur only among tag ko: 40 of 100")
    assert second.startswith("truncated answers occur only among tag code: 40 of 100")


def test_prompts_that_are_longer_are_told_by_their_medians() -> None:
    chance = random.Random(0)
    lines = [line(NO_ANSWER, length=int(chance.gauss(4100, 10))) for _ in range(40)]
    lines += [line(length=int(chance.gauss(900, 3))) for _ in range(400)]
    told = "failed samples have longer prompts: median 4,100 characters, others 900"
    assert sentences(mixed(lines)) == [told]


def test_prompts_that_are_shorter_are_told_too() -> None:
    lines = [line(LENGTH, length=20) for _ in range(30)] + [line(length=87) for _ in range(100)]
    told = "samples with a truncated answer have shorter prompts: median 20 characters, others 87"
    assert sentences(mixed(lines)) == [told]


def clustered(first: float, last: float) -> list[dict[str, Any]]:
    """1,000 samples of which 4 % fail, and half of those between two places of the dataset."""
    chance = random.Random(3)
    return [
        line(NO_ANSWER if chance.random() < (0.5 if first <= n / 1000 < last else 0.04) else STOP)
        for n in range(1000)
    ]


@pytest.mark.parametrize(
    ("first", "last", "name"),
    [
        (0.9, 1, "the last tenth"),
        (0, 0.1, "the first tenth"),
        (0.7, 1, "the last 3 tenths"),
        (0.5, 1, "the last half"),
        (0.3, 0.4, "tenth 4"),
        (0.4, 0.6, "tenths 5 to 6"),
    ],
)
def test_failures_that_cluster_are_told_by_tenths_of_the_dataset(
    first: float, last: float, name: str
) -> None:
    lines = clustered(first, last)
    failed = [n for n, each in enumerate(lines) if each["response"] is None]
    inside = sum(first <= n / 1000 < last for n in failed)
    expected = f"failures cluster: {inside} of {len(failed)} are in {name} of the dataset"
    assert sentences(lines) == [expected]


def test_the_strongest_difference_is_told_and_no_other() -> None:
    lines = [line(NO_ANSWER, "ko", length=300)] * 40 + [line(STOP, "ko", length=300)] * 60
    lines += [line(NO_ANSWER, length=90)] * 20
    lines += [line(STOP, length=90)] * 250 + [line(STOP, length=300)] * 150
    (told,) = sentences(mixed(lines))
    assert told == "failures are 8.4 times as common among tag ko: 40 of 100, others 20 of 420"
    without = [each | {"request_context": {"sample_tags": []}} for each in lines]
    (told,) = sentences(mixed(without))
    assert told == "failed samples have longer prompts: median 300 characters, others 90"


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([], id="nothing"),
        pytest.param(group(NO_ANSWER, 0, 100, "ko"), id="no-failures"),
        pytest.param(group(NO_ANSWER, 100, 100, "ko"), id="all-failed"),
        pytest.param(
            group(NO_ANSWER, 20, 20, "ko") + group(STOP, 0, 29), id="fewer-than-50-samples"
        ),
        pytest.param(
            group(NO_ANSWER, 9, 9, "ko") + group(STOP, 0, 500), id="fewer-than-10-failures"
        ),
        pytest.param(
            group(NO_ANSWER, 4, 4, "ko") + group(NO_ANSWER, 6, 2000), id="fewer-than-5-of-a-tag"
        ),
        pytest.param(
            group(NO_ANSWER, 4000, 10_000, "ko") + group(NO_ANSWER, 3000, 10_000),
            id="a-certain-but-small-difference",
        ),
        pytest.param(
            group(NO_ANSWER, 8, 100, "ko") + group(NO_ANSWER, 16, 400), id="may-be-chance"
        ),
    ],
)
def test_nothing_is_said_without_enough_evidence(lines: list[dict[str, Any]]) -> None:
    assert sentences(mixed(lines)) == []


def test_further_repeats_of_a_sample_are_no_further_evidence() -> None:
    lines = group(NO_ANSWER, 3, 10, "ko") + group(NO_ANSWER, 7, 90)
    many = [{**each, "repeat": repeat} for each in mixed(lines) for repeat in range(20)]
    assert sentences(many) == []
    assert sentences(each for each in many if each["repeat"] == 0) == []
    assert sentences({**each, "repeat": 0} for each in many) != [], "they would be taken as such"


def test_a_tag_is_shown_on_one_line() -> None:
    tag = "\x1b[2Jko\n" + 100 * "x"
    (told,) = sentences(mixed(group(NO_ANSWER, 40, 100, tag) + group(NO_ANSWER, 10, 400)))
    assert told.isprintable()
    assert "among tag [2Jko xxx" in told
    assert len(told) < 160


def test_parts_add_up_to_the_whole() -> None:
    lines = mixed(group(NO_ANSWER, 31, 120, "ko") + group(LENGTH, 90, 430, "en"))
    parts = [Missing() for _ in range(3)]
    for index, each in enumerate(lines):
        parts[index % 3].add(index, each, truncated=is_cut(each))
    parts[0].merge(parts[1])
    parts[2].merge(parts[0])
    assert parts[2].sentences() == sentences(lines)
    assert len(parts[2].sentences()) == 2


def test_lines_of_a_results_file_are_read_as_they_are() -> None:
    lines = [result(fails=number < 20) for number in range(200)]
    lines[100] = result().model_copy(update={"response": ChatResponse(text="")})
    told = sentences(each.model_dump(mode="json") for each in lines)
    assert told == ["failures cluster: 20 of 20 are in the first tenth of the dataset"]


@pytest.mark.parametrize(
    ("content", "length"),
    [
        ("질문", 2),
        ("", 0),
        (None, 0),
        ([{"type": "text", "text": "abc"}, {"type": "image_url", "image_url": {}}], 3),
        ([{"type": "text", "text": None}], 0),
        ([], 0),
    ],
    ids=str,
)
def test_the_length_is_that_of_the_text(content: object, length: int) -> None:
    answer = {"role": "assistant", "tool_calls": []}
    asked = {"role": "user", "content": content}
    assert text_length([{"role": "system", "content": "Be kind."}, asked, answer]) == 8 + length


@pytest.mark.parametrize("long", range(5, 31))
def test_few_long_prompts_do_not_make_chance_look_like_evidence(long: int) -> None:
    """In exact numbers, for all samples that can be drawn: 60 of two lengths, 10 of them fail."""
    ways = {k: math.comb(long, k) * math.comb(60 - long, 10 - k) for k in range(min(long, 10) + 1)}
    told = 0
    for k, number in ways.items():
        lines = [line(NO_ANSWER, length=9000)] * k + [line(NO_ANSWER, length=100)] * (10 - k)
        lines += [line(length=9000)] * (long - k) + [line(length=100)] * (50 - long + k)
        told += number * any("prompts" in each for each in sentences(mixed(lines)))
    assert told / math.comb(60, 10) <= 0.03
