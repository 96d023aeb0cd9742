from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

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
from lm_eval_so.runner.request.key import RequestKeys

if TYPE_CHECKING:
    from lm_eval_so.runner.models import Message

QUESTION: list[Message] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Why?"},
]


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


def key(
    asked: RunConfig | None = None,
    messages: list[Message] | None = None,
    endpoint: str = "https://a/v1",
    **defaults: object,
) -> str:
    return RequestKeys(asked or config(), endpoint, defaults).key(messages or QUESTION)


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


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(key(config(backend="local")), id="backend"),
        pytest.param(key(config(model="n")), id="model"),
        pytest.param(key(endpoint="https://b/v1"), id="endpoint"),
        pytest.param(key(config(parameters={"temperature": 0.7})), id="parameter"),
        pytest.param(key(max_tokens=5), id="default"),
        pytest.param(
            key(messages=[{"role": "system", "content": "Be long."}, QUESTION[1]]),
            id="system-prompt",
        ),
        pytest.param(key(messages=QUESTION[1:]), id="no-system-prompt"),
        pytest.param(key(messages=QUESTION[::-1]), id="order"),
        pytest.param(
            key(messages=[QUESTION[0], {"role": "user", "content": "Why?", "name": "kim"}]),
            id="name",
        ),
        pytest.param(
            key(messages=[QUESTION[0], {"role": "user", "content": [{"text": "Why?"}]}]),
            id="content-parts",
        ),
    ],
)
def test_another_question_has_another_key(other: str) -> None:
    assert other != key()


@pytest.mark.parametrize(
    "same",
    [
        pytest.param(key(config(parameters={"temperature": 0.0})), id="whole-float"),
        pytest.param(key(config(parameters={"temperature": 0, "n": None})), id="none"),
        pytest.param(key(config(metadata={"note": "x"})), id="metadata"),
        pytest.param(key(config(backend_options={"api_key": "sk-12345678"})), id="option"),
        pytest.param(key(config(parameters={}), temperature=0), id="as-a-default"),
        pytest.param(key(temperature=1), id="overridden-default"),
        pytest.param(
            key(messages=[dict(reversed(message.items())) for message in QUESTION]),  # type: ignore[misc]
            id="order-of-keys",
        ),
    ],
)
def test_the_same_question_has_the_same_key(same: str) -> None:
    assert same == key()


def test_keys_of_one_run_do_not_depend_on_what_was_asked_before() -> None:
    keys = RequestKeys(config(), "https://a/v1")
    first = keys.key(QUESTION)
    keys.key(QUESTION[1:])
    assert keys.key(QUESTION) == first == key()


def test_text_that_looks_like_the_place_of_the_messages_is_only_text() -> None:
    names = ['x","messages":null,"y":"', '"messages":null']
    keys = {key(config(model=name, backend=name), messages=QUESTION[1:]) for name in names}
    keys |= {key(config(model=name, backend=name)) for name in names}
    assert len(keys) == 4


@given(st.text(), st.text())
def test_two_contents_share_a_key_only_if_they_are_equal(one: str, other: str) -> None:
    keys = RequestKeys(config(), "")
    found = [keys.key([{"role": "user", "content": text}]) for text in (one, other)]
    assert (found[0] == found[1]) is (one == other)


def test_a_parameter_that_has_no_json_form_is_refused_before_any_question() -> None:
    with pytest.raises(ConfigError, match="cannot be written as JSON"):
        RequestKeys(config(parameters={"stop": {"a", "b"}}), "")
