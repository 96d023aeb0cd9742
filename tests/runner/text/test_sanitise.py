from __future__ import annotations

import json
import math
from types import MappingProxyType

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_so.runner.text.sanitise import DEEPEST, sanitise_json, sanitise_text


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        pytest.param("", "", id="empty"),
        pytest.param("안녕 \U0001f600\x00\u2028", "안녕 \U0001f600\x00\u2028", id="fine"),
        pytest.param("\ud83d\ude00", "\U0001f600", id="two-halves"),
        pytest.param("a\ud83db", "a\ufffdb", id="first-half"),
        pytest.param("a\ude00b", "a\ufffdb", id="second-half"),
        pytest.param("\ude00\ud83d", "\ufffd\ufffd", id="wrong-order"),
        pytest.param("\udce9", "\ufffd", id="a-byte-that-was-escaped"),
    ],
)
def test_halves_of_characters_are_joined_or_replaced(text: str, whole: str) -> None:
    assert sanitise_text(text) == whole


@given(st.text())
def test_text_that_can_be_written_is_not_changed(text: str) -> None:
    assert sanitise_text(text) == text


@given(st.text(st.characters()))
def test_any_text_can_be_written_afterwards(text: str) -> None:
    assert sanitise_text(text).encode().decode() == sanitise_text(text)


@pytest.mark.parametrize(
    ("value", "whole"),
    [
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (2**64 - 1, 2**64 - 1),
        (2**64, float(2**64)),
        (-(2**63) - 1, -float(2**63)),
        (10**400, "Infinity"),
        (-(10**400), "-Infinity"),
        (True, True),
        ({"a\ud800": ["\ud83d", None, 1.5]}, {"a\ufffd": ["\ufffd", None, 1.5]}),
        ((1, 2), [1, 2]),
        (MappingProxyType({1: 2}), {"1": 2}),
        (b"bytes", "b'bytes'"),
    ],
    ids=lambda value: f"{value!a:.30}",
)
def test_what_has_no_json_form_gets_the_nearest(value: object, whole: object) -> None:
    assert sanitise_json(value) == whole


@pytest.mark.parametrize("depth", [DEEPEST, DEEPEST + 1, 300, 900, 100_000])
def test_what_is_nested_too_deep_becomes_text(depth: int) -> None:
    value: object = "within"
    for _ in range(depth):
        value = [value]
    whole = sanitise_json({"answer": "fine", "deep": value})
    line = orjson.dumps(whole)
    assert whole["answer"] == "fine"
    assert (b"within" in line) or depth > 300
    assert orjson.loads(line) == whole


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
    max_leaves=20,
)


@given(JSON)
def test_whatever_it_is_it_can_be_written_and_read(value: object) -> None:
    whole = sanitise_json(value)
    assert orjson.loads(orjson.dumps(whole)) == whole


@given(JSON.filter(lambda value: "\\ud" not in json.dumps(value)))
def test_what_can_be_written_is_not_changed(value: object) -> None:
    try:
        written = orjson.dumps(value)
    except TypeError:
        return
    if orjson.loads(written) == value:  # NaN is written as null
        assert sanitise_json(value) == value
