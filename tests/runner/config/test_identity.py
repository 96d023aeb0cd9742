from __future__ import annotations

import math
from typing import Any

import pytest

from lm_eval_so.runner.config.identity import RequestKeys, canonical_json, fingerprint, identity
from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.models import Message, RunConfig

ASK: list[Message] = [{"role": "user", "content": "hi"}]


def config(**changed: Any) -> RunConfig:  # noqa: ANN401 - any field
    return RunConfig.model_validate({"backend": "openai", "model": "m", **changed})


def print_of(dataset: str = "d", endpoint: str = "e", **changed: Any) -> str:  # noqa: ANN401
    options = changed.pop("options", {})
    return fingerprint(identity(dataset, config(**changed), endpoint, options))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": [1, 2]}, {"b": [1, 2], "a": 1}),
        ({"t": 0}, {"t": 0.0}),
        ({"t": [{"x": 2.0}]}, {"t": [{"x": 2}]}),
        ((1, 2), [1, 2]),
    ],
    ids=["order", "zero", "nested", "tuple"],
)
def test_one_meaning_is_one_text(one: object, other: object) -> None:
    assert canonical_json(one) == canonical_json(other)


@pytest.mark.parametrize(
    ("one", "other"), [(1, "1"), (0, False), (None, "null"), (0.1, 0.2), ([1, 2], [2, 1])], ids=str
)
def test_another_meaning_is_another_text(one: object, other: object) -> None:
    assert canonical_json(one) != canonical_json(other)


@pytest.mark.parametrize("value", [2**70, {1, 2}, object()], ids=["long", "set", "object"])
def test_what_has_no_json_form_is_a_config_error(value: object) -> None:
    with pytest.raises(ConfigError, match="no JSON form"):
        canonical_json({"x": value})


@pytest.mark.parametrize("value", [math.nan, math.inf], ids=str)
def test_numbers_that_json_lacks_do_not_crash(value: float) -> None:
    assert canonical_json([value])


@pytest.mark.parametrize(
    "changed",
    [
        {"dataset": "other"},
        {"endpoint": "other"},
        {"backend": "local"},
        {"model": "other"},
        {"parameters": {"temperature": 0}},
        {"options": {"context_length": 1}},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_what_decides_the_answers_decides_the_fingerprint(changed: dict[str, Any]) -> None:
    assert print_of(**changed) != print_of()


@pytest.mark.parametrize(
    "changed",
    [{"parameters": {"top_p": None}}, {"metadata": {"note": "x"}}, {"backend_options": {"a": 1}}],
    ids=["null-parameter", "notes", "options-the-backend-leaves-out"],
)
def test_what_changes_no_answer_changes_no_fingerprint(changed: dict[str, Any]) -> None:
    assert print_of(**changed) == print_of()


def key(messages: list[Message] = ASK, endpoint: str = "e", **changed: Any) -> str:  # noqa: ANN401
    defaults = changed.pop("defaults", None)
    return RequestKeys(config(**changed), endpoint, defaults).key(messages)


@pytest.mark.parametrize(
    "changed",
    [
        {"messages": [{"role": "system", "content": "be brief"}, *ASK]},
        {"messages": [{"role": "user", "content": "hi "}]},
        {"messages": [{"role": "user", "content": "hi", "name": "Kim"}]},
        {"endpoint": "other"},
        {"model": "other"},
        {"parameters": {"seed": 1}},
        {"defaults": {"max_tokens": 5}},
    ],
    ids=["system", "space", "name", "endpoint", "model", "parameter", "default"],
)
def test_another_question_has_another_key(changed: dict[str, Any]) -> None:
    assert key(**changed) != key()


def test_a_default_and_the_same_value_given_are_one_question() -> None:
    assert key(defaults={"seed": 1}) == key(parameters={"seed": 1})
    assert key(defaults={"seed": 1}, parameters={"seed": 2}) == key(parameters={"seed": 2})


def test_the_order_of_keys_in_a_message_does_not_matter() -> None:
    assert key([{"content": "hi", "role": "user"}]) == key()


def test_text_that_looks_like_the_seam_does_not_confuse_the_key() -> None:
    trap = '"messages":null'
    assert key(model=trap) != key(model="m")
    assert key(parameters={"a": trap}) != key(parameters={"b": trap})
    assert key([{"role": "user", "content": trap}], model=trap) != key(model=trap)
