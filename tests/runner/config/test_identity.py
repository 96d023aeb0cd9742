from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_so.runner.config.identity import (
    canonical_json,
    fingerprint,
    identity,
    sent,
)
from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.models import RunConfig


def config(**changed: Any) -> RunConfig:  # noqa: ANN401 - fields of RunConfig
    return RunConfig.model_validate(
        {"backend": "openai", "model": "m", "parameters": {"temperature": 0}, **changed}
    )


def printed(
    asked: RunConfig | None = None,
    dataset: str = "d",
    endpoint: str = "https://a/v1",
    **options: object,
) -> str:
    return fingerprint(identity(dataset, asked or config(), endpoint, options))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param({"b": 1, "a": {"d": 2, "c": 3}}, b'{"a":{"c":3,"d":2},"b":1}', id="keys"),
        pytest.param([0.0, -0.0, 1.0, 0.5], b"[0,0,1,0.5]", id="whole-floats"),
        pytest.param((1, [2.0, (3.0,)]), b"[1,[2,[3]]]", id="tuples"),
        pytest.param([True, False, None], b"[true,false,null]", id="constants"),
        pytest.param([1, "1"], b'[1,"1"]', id="a-number-is-no-string"),
        pytest.param("한국어", '"한국어"'.encode(), id="unicode"),
        pytest.param(1e300, b"1e+300", id="float-beyond-exact-integers"),
    ],
)
def test_one_text_for_one_meaning(value: object, text: bytes) -> None:
    assert canonical_json(value) == text


def test_zero_is_written_as_zero_point_zero_at_any_depth() -> None:
    whole: object = {"a": [{"temperature": 0}]}
    assert canonical_json(whole) == canonical_json({"a": [{"temperature": 0.0}]})


@given(st.dictionaries(st.text(), st.integers(-(2**53) + 1, 2**53 - 1)))
def test_neither_the_order_of_keys_nor_the_type_of_a_whole_number_matters(
    values: dict[str, int],
) -> None:
    other = {name: float(value) for name, value in reversed(values.items())}
    assert canonical_json(values) == canonical_json(other)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(math.nan, id="nan"),
        pytest.param(math.inf, id="inf"),
        pytest.param(-math.inf, id="minus-inf"),
        pytest.param(2**64, id="above-64-bits"),
        pytest.param(object(), id="object"),
        pytest.param("\ud800", id="lone-surrogate"),
    ],
)
def test_what_has_no_json_form_is_refused(value: object) -> None:
    with pytest.raises(ConfigError, match="a parameter or option cannot be written as JSON: "):
        canonical_json({"a": [value]})


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(printed(dataset="e"), id="dataset"),
        pytest.param(printed(config(backend="local")), id="backend"),
        pytest.param(printed(endpoint="https://b/v1"), id="endpoint"),
        pytest.param(printed(config(model="n")), id="model"),
        pytest.param(printed(config(parameters={"temperature": 1})), id="value"),
        pytest.param(printed(config(parameters={"top_p": 0})), id="name"),
        pytest.param(printed(config(parameters={})), id="one-parameter-less"),
        pytest.param(printed(seed=1), id="option"),
    ],
)
def test_the_fingerprint_changes_with_what_changes_answers(other: str) -> None:
    assert other != printed()


@pytest.mark.parametrize(
    "same",
    [
        pytest.param(config(metadata={"note": "second try"}), id="metadata"),
        pytest.param(config(parameters={"temperature": 0, "top_p": None}), id="none"),
        pytest.param(config(parameters={"temperature": 0.0}), id="whole-float"),
        pytest.param(config(backend_options={"api_key": "sk-12345678"}), id="key"),
    ],
)
def test_the_fingerprint_does_not_change_with_what_changes_no_answer(same: RunConfig) -> None:
    assert printed(same) == printed()


def test_the_fingerprint_is_64_hex_digits_and_stays_what_it_was() -> None:
    """A new value would orphan the run directories of every user."""
    expected = "f39afe0b63f5c1d4f0706c2890d195016d1f62af7025f7cd4cfe0881fa0399e8"
    assert printed() == expected


def test_only_a_none_is_not_sent() -> None:
    parameters = {"a": None, "b": 0, "c": "", "d": False, "e": [], "f": {"g": None}}
    assert sent(parameters) == {"b": 0, "c": "", "d": False, "e": [], "f": {"g": None}}
