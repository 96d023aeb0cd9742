from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def key(
    asked: RunConfig | None = None,
    messages: list[Message] | None = None,
    endpoint: str = "https://a/v1",
    **defaults: object,
) -> str:
    return RequestKeys(asked or config(), endpoint, defaults).key(messages or QUESTION)


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
        RequestKeys(config(), "", {"stop": {"a", "b"}})
