"""A plain sample is read in another way than the others, and nobody can tell."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lm_eval_so import RunConfig
from lm_eval_so.runner.dataset import hints
from lm_eval_so.runner.dataset.numbers import odd_number
from lm_eval_so.runner.dataset.plain import plain_id, read_plain, whole
from lm_eval_so.runner.dataset.sample import parse_sample
from lm_eval_so.runner.models import TestSample
from lm_eval_so.runner.request.build import RequestBuilder

REQUESTS = RequestBuilder(RunConfig(backend="b", model="m"))
PLAIN: dict[str, Any] = {"id": "a", "messages": [{"role": "user", "content": "q"}]}


def in_full(text: bytes) -> TestSample | None:
    """What the whole model makes of a text; None where it is refused or warned of."""
    try:
        sample = TestSample.model_validate_json(text)
    except ValidationError:
        return None
    extra = sample.model_extra or {}
    is_odd = odd_number(text, sample) or hints.not_sent(extra) or hints.kept_only(extra)
    return None if is_odd else sample


def assert_nobody_can_tell(text: bytes) -> bool:
    """Whether the text holds a plain sample."""
    plain = read_plain(text)
    assert plain_id(text) == (plain.id if plain else None)
    if plain is None:
        return False
    expected = in_full(text)
    assert expected is not None
    for found in (whole(plain), parse_sample(text)):
        assert found == expected
        assert found.model_fields_set == expected.model_fields_set
        assert found.model_extra == expected.model_extra == {}
        assert found.model_dump_json() == expected.model_dump_json()
    assert plain.id == expected.id
    assert plain.parameters == expected.parameters
    assert REQUESTS.key(plain) == REQUESTS.key(expected)
    return True


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"id": 7},
        {"id": 2**70},
        {"id": -1},
        {"expected": "four", "tags": ["a", "b"], "metadata": {"n": 1, "of": [1.5, None, "x"]}},
        {"expected": None, "tags": None, "metadata": None},
        {"expected": 2**70, "metadata": {"large": -(2**70)}},
        {"tags": [], "metadata": {}},
        {"messages": [{"role": "system", "content": ""}, {"role": "user", "content": "é 😀 \x00"}]},
        {"messages": [{"content": "q", "role": "user"}]},
    ],
    ids=str,
)
def test_a_plain_sample_is_the_one_that_the_whole_model_reads(more: dict[str, Any]) -> None:
    sample = {**PLAIN, **more}
    assert assert_nobody_can_tell(json.dumps(sample).encode())
    assert assert_nobody_can_tell(json.dumps(sample, ensure_ascii=False).encode())


@pytest.mark.parametrize(
    "more",
    [
        {"id": ""},
        {"id": True},
        {"id": 1.0},
        {"id": None},
        {"messages": []},
        {"messages": [{"role": "user"}]},
        {"messages": [{"role": "human", "content": "q"}]},
        {"messages": [{"role": "user", "content": None}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "q"}]}]},
        {"messages": [{"role": "user", "content": "q", "name": None}]},
        {"tools": []},
        {"temperature": 0.5},
        {"params": {"temperature": 0}},
        {"expected": {"deep": []}},
        {"expected": float("nan")},
        {"metadata": {"n": float("-inf")}},
        {"tags": "a"},
        {"tags": [1]},
    ],
    ids=str,
)
def test_what_is_not_plain_is_left_to_the_whole_model(more: dict[str, Any]) -> None:
    assert read_plain(json.dumps({**PLAIN, **more}).encode()) is None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"null",
        orjson.dumps(PLAIN)[:-1],
        orjson.dumps(PLAIN) + b"{}",
        orjson.dumps(PLAIN).replace(b'"q"', b'"\xff"'),
        orjson.dumps(PLAIN).replace(b'"q"', b'"\\ud83d"'),
        orjson.dumps(PLAIN).replace(b'"q"', b'"\x00"'),
        orjson.dumps({**PLAIN, "expected": 1}).replace(b":1}", b":1e999}"),
        orjson.dumps({**PLAIN, "expected": 1}).replace(b":1}", b":01}"),
        b'{"id":"a","expected":' + b"[" * 100_000,
    ],
    ids=lambda text: repr(text[-12:]),
)
def test_a_damaged_text_is_no_plain_sample(text: bytes) -> None:
    assert read_plain(text) is None
    assert plain_id(text) is None


def test_every_character_gives_the_request_key_that_the_whole_model_gives() -> None:
    characters = [chr(n) for n in range(0x110000) if not 0xD800 <= n < 0xE000]
    messages = [{"role": "user", "content": "".join(characters)}]
    for escaped in (True, False):
        text = json.dumps({"id": "a", "messages": messages}, ensure_ascii=escaped)
        assert assert_nobody_can_tell(text.encode())


_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=4,
)
_turns = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "system", "human"])},
    optional={"content": st.text(max_size=9) | _values, "name": _values, "x": _values},
)
_samples = st.fixed_dictionaries(
    {"id": st.text(max_size=3) | st.integers() | _scalars},
    optional={
        "messages": st.lists(_turns, max_size=3),
        "expected": _values,
        "tags": st.none() | st.lists(st.text(max_size=2), max_size=2) | _values,
        "metadata": st.dictionaries(st.text(max_size=2), _values, max_size=2) | _values,
        "tools": _values,
        "temperature": _values,
    },
)


@settings(max_examples=300, deadline=None)
@given(_samples, st.booleans())
def test_nobody_can_tell_of_any_sample(sample: dict[str, Any], escaped: bool) -> None:  # noqa: FBT001 - drawn
    assert_nobody_can_tell(json.dumps(sample, ensure_ascii=escaped).encode(errors="surrogatepass"))
