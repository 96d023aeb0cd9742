"""The totals of a shard go through a file: nothing of the summary is lost on the way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_so.runner.summary.counts import packed, unpacked
from lm_eval_so.runner.summary.summarise import Totals

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Line = dict[str, Any]
FEW = ("a", "b", "한국어")
ANSWERS = st.fixed_dictionaries(
    {
        "text": st.sampled_from(["", "yes", " no "]),
        "finish_reason": st.sampled_from(["stop", "length", "content_filter", None]),
        "tokens": st.none()
        | st.fixed_dictionaries({"input": st.integers(0, 9), "total": st.none()}),
        "model": st.none() | st.sampled_from(FEW),
        "system_fingerprint": st.none() | st.sampled_from(FEW),
        "served_by": st.none() | st.sampled_from(FEW),
        "time_to_first_token_ms": st.none() | st.floats(0, 1e4),
    }
)
ERRORS = st.fixed_dictionaries(
    {
        "error_type": st.sampled_from(FEW),
        "message": st.sampled_from([*FEW, "with\nlines"]),
        "status_code": st.sampled_from([None, 429, 500]),
        "served_by": st.none() | st.sampled_from(FEW),
    }
)


@st.composite
def a_line(draw: st.DrawFn) -> Line:
    answer = draw(st.none() | ANSWERS)
    return {
        "status": "error" if answer is None else "ok",
        "attempts": draw(st.integers(1, 5)),
        "latency_ms": draw(st.none() | st.floats(0, 1e7)),
        "completed_at": draw(st.sampled_from(["2026-11-01T00:00:00Z", "2026-11-01T00:00:01Z"])),
        "cost_usd": draw(st.none() | st.floats(0, 100)),
        "request_context": {"sample_tags": draw(st.lists(st.sampled_from(FEW), max_size=3))},
        "request_messages": [{"role": "user", "content": "x" * draw(st.integers(0, 3000))}],
        "response": answer,
        "error": draw(ERRORS) if answer is None else None,
    }


SAMPLES = st.lists(st.lists(a_line(), min_size=1, max_size=3), max_size=12)
"""Of each sample its repeats."""


def lines_of(samples: Sequence[Sequence[Line]]) -> list[list[Line]]:
    return [
        [{**line, "sample_id": f"s{number}", "repeat": repeat} for repeat, line in enumerate(lines)]
        for number, lines in enumerate(samples)
    ]


def of(samples: Sequence[Sequence[Line]], begins_at: int = 0) -> Totals:
    totals = Totals(begins_at)
    for lines in samples:
        for line in lines:
            totals.add(line)
    return totals


def through_a_file(totals: Totals) -> Totals:
    return Totals.of_state(json.loads(json.dumps(totals.state())))


def merged(samples: Sequence[Sequence[Line]], cuts: Sequence[int]) -> Totals:
    """Of ranges, each through a file, in the order of the dataset."""
    whole = Totals()
    for first, end in zip([0, *cuts], [*cuts, len(samples)], strict=True):
        whole.merge(through_a_file(of(samples[first:end], first)))
    return whole


def told(totals: Totals, total: int) -> tuple[object, ...]:
    """The summary with the order in it, and what the words and places are told from."""
    strata = totals._missing.strata
    return (
        totals.summary(total).model_dump_json(),
        dict(strata.places.blocks),
        dict(strata.lengths.counts),
        strata.tags.counts,
        totals._failures._messages,
    )


@given(SAMPLES, st.lists(st.integers(0, 12), max_size=4))
def test_ranges_through_files_are_the_whole(samples: list[list[Line]], cuts: list[int]) -> None:
    known = lines_of(samples)
    ends = sorted(min(cut, len(known)) for cut in cuts)
    count = sum(map(len, known))
    assert told(merged(known, ends), count) == told(of(known), count)


@given(SAMPLES, st.permutations(range(4)))
def test_in_another_order_all_numbers_are_the_same(
    samples: list[list[Line]], order: list[int]
) -> None:
    known = lines_of(samples)
    cuts = [0, *(len(known) * part // 4 for part in (1, 2, 3)), len(known)]
    whole = Totals()
    for part in order:
        whole.merge(through_a_file(of(known[cuts[part] : cuts[part + 1]], cuts[part])))
    found, expected = whole.summary(99), of(known).summary(99)
    assert found.model_copy(update={"error_messages": {}}) == expected.model_copy(
        update={"error_messages": {}}
    )


def simple(number: int, **changed: Any) -> Line:  # noqa: ANN401 - JSON
    line: Line = {
        "sample_id": f"s{number}",
        "status": "ok",
        "attempts": 1,
        "latency_ms": 800.0 + number * 7919 % 1200,
        "completed_at": f"2026-11-01T00:00:{number % 60:02}Z",
        "request_context": {"sample_tags": []},
        "request_messages": [{"role": "user", "content": "q" * (60 + number * 31 % 400)}],
        "response": {
            "text": "fine",
            "finish_reason": "stop",
            "tokens": {"input": 7, "output": 3, "total": 10},
            "model": "m-2026-01-01",
            "time_to_first_token_ms": 90.0 + number * 7919 % 60,
        },
        "error": None,
    }
    return {**line, **changed}


def refused(number: int, message: str) -> Line:
    error = {"error_type": "BadRequestError", "message": message, "status_code": 400}
    return simple(number, status="error", response=None, error=error)


MANY: dict[str, Callable[[int], Line]] = {
    "messages": lambda number: refused(number, f"request {number % 180}"),
    "tags": lambda number: simple(number, request_context={"sample_tags": [f"t{number % 900}"]}),
    "models": lambda number: simple(
        number, response={**simple(0)["response"], "model": f"m{number % 180}"}
    ),
}


@pytest.mark.parametrize("make", MANY.values(), ids=MANY)
def test_what_there_are_too_many_of_is_left_out_as_in_the_whole(
    make: Callable[[int], Line],
) -> None:
    lines = [[make(number)] for number in (*range(700), *range(899, 0, -1), *range(900, 1800))]
    assert told(merged(lines, [500, 501, 1200]), 9000) == told(of(lines), 9000)


def test_a_shard_far_into_the_dataset_keeps_its_place() -> None:
    lines = [[simple(number)] for number in range(3000)]
    assert told(merged(lines, [1024, 1025, 2500]), 3000) == told(of(lines), 3000)
    shard = of(lines[2500:], 2500)._missing.strata.places
    assert min(shard.blocks) << shard.doublings <= 2500 < (max(shard.blocks) + 1) << shard.doublings


def test_the_state_of_a_thousand_lines_is_small() -> None:
    tags = ("ko", "long", "maths", "code", "law")
    lines = [
        [
            refused(number, f"too long: {number}")
            if number % 50 == 7
            else simple(number, request_context={"sample_tags": [tags[number % 5]]})
        ]
        for number in range(1000)
    ]
    assert len(json.dumps(of(lines, 5000).state(), separators=(",", ":"))) < 8_000
    assert len(json.dumps(of(lines).state(), separators=(",", ":"))) < 8_000


def test_a_state_is_what_any_writer_of_json_takes() -> None:
    lines = [[simple(number, latency_ms=1e9, cost_usd=1e300)] for number in range(50)]
    totals = Totals.of_state(msgspec.json.decode(msgspec.json.encode(of(lines).state())))
    assert totals.summary(50) == of(lines).summary(50)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda _: None, id="nothing"),
        pytest.param(lambda _: [], id="a-list"),
        pytest.param(lambda _: {}, id="empty"),
        pytest.param(lambda state: {**state, "version": "1"}, id="version-as-text"),
        pytest.param(lambda state: {**state, "settled": -1}, id="less-than-nothing"),
        pytest.param(lambda state: {**state, "cost": 0.5}, id="a-float"),
        pytest.param(lambda state: {**state, "cost": "1e9"}, id="no-digits"),
        pytest.param(lambda state: {**state, "models": {"m": [1, "now"]}}, id="too-short"),
        pytest.param(lambda state: {**state, "statuses": {"ok": None}}, id="no-count"),
        pytest.param(
            lambda state: {**state, "failures": {"counts": {"A": 1}, "messages": {"A": {}}}},
            id="no-message",
        ),
        pytest.param(lambda state: {k: v for k, v in state.items() if k != "tokens"}, id="cut"),
    ],
)
def test_what_is_no_state_is_told_in_one_sentence(change: Callable[[Line], object]) -> None:
    with pytest.raises(ValueError, match=r"^these (are no )?totals [^\n]+$"):
        Totals.of_state(change(of([[simple(1)]]).state()))


def test_another_version_is_told_by_its_number() -> None:
    with pytest.raises(ValueError, match="these totals have version 2; this release reads 1"):
        Totals.of_state({"version": 2, "anything": "else"})


@given(st.dictionaries(st.integers(-(2**31), 5000), st.integers(1, 3)))
def test_what_is_packed_is_unpacked(counts: dict[int, int]) -> None:
    assert unpacked(packed(counts)) == counts


def test_neighbours_and_repetitions_take_little_room() -> None:
    assert packed(dict.fromkeys(range(7, 1000), 1)) == [7, 1, -992]
    assert packed({5: 2, 10: 1}) == [5, 2, 0, -3, 1]
    assert packed({3: 0}) == packed({}) == []
