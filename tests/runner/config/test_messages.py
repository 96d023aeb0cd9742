from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from lm_eval_so.runner.config.messages import explain, invalid, known_keys, nearest, unknown_key
from lm_eval_so.runner.config.schema import ComposedConfig, RunnerOptions
from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.models import TestSample

MINIMAL = {"dataset": {"path": "d"}, "backend": {"kind": "simulated"}}


def refused(changed: dict[str, Any]) -> ValidationError:
    with pytest.raises(ValidationError) as raised:
        ComposedConfig.model_validate({**MINIMAL, **changed})
    return raised.value


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("max_concurrency", 0, "must be at least 1 or 'auto', got 0"),
        ("max_concurrency", 100_001, "must be at most 100000 or 'auto', got 100001"),
        ("max_concurrency", 1.5, "must be a whole number or 'auto', got 1.5"),
        ("max_concurrency", "many", "must be a whole number or 'auto', got 'many'"),
        ("max_concurrency", None, "must be a whole number or 'auto', got None"),
        ("timeout", 0, "must be greater than 0, got 0"),
        ("timeout", "soon", "must be a number, got 'soon'"),
        ("timeout", float("inf"), "must be a finite number, got inf"),
        ("timeout", [1], "must be a number, got [1]"),
        ("max_failures", -1, "must be at least 0, got -1"),
        ("trace_prefix", "", "must be a non-empty string, got ''"),
        ("trace_prefix", ["a"], "must be a string, got ['a']"),
        ("log_level", "loud", ("must be 'DEBUG', 'INFO', 'WARNING', 'ERROR' or 'CRITICAL', "
                              "got 'LOUD'")),
        ("progress", "fancy", "must be 'auto', 'bar', 'log' or 'none', got 'fancy'"),
    ],
)  # fmt: skip
def test_a_sentence_names_the_key_the_bound_and_the_value(
    option: str, value: object, sentence: str
) -> None:
    assert explain(refused({"runner": {option: value}})) == f"runner.{option} {sentence}"


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        pytest.param({"dataset": {}}, "dataset.path is missing", id="missing"),
        pytest.param(
            {"dataset": {"path": None}}, "dataset.path must be a path, got None", id="path"
        ),
        pytest.param(
            {"params": [1]}, "params must be a mapping (key: value), got [1]", id="mapping"
        ),
        pytest.param(
            {"backend": {"kind": ""}},
            "backend.kind must be a non-empty string, got ''",
            id="empty",
        ),
        pytest.param(
            {"runner": {"max_concurency": 4}},
            "unknown key 'runner.max_concurency'; did you mean 'runner.max_concurrency'?",
            id="typo",
        ),
        pytest.param(
            {"max_concurrency": 4},
            "unknown key 'max_concurrency'; did you mean 'runner.max_concurrency'?",
            id="group-forgotten",
        ),
        pytest.param({"qqqqqqqq": 4}, "unknown key 'qqqqqqqq'", id="nothing-near"),
        pytest.param(
            {"engine": {"kind": ""}}, "engine.kind must be a non-empty string, got ''", id="engine"
        ),
    ],
)
def test_a_config_is_refused_in_a_sentence(changed: dict[str, Any], sentence: str) -> None:
    assert explain(refused(changed)) == sentence


def test_a_group_that_is_no_mapping_is_named_with_its_value() -> None:
    sentence = explain(refused({"runner": "fast"}))
    assert sentence.startswith("runner")
    assert sentence.endswith("got 'fast'")


def test_several_faults_are_several_sentences_each_once() -> None:
    error = refused({"runner": {"max_retries": -1, "timeout": 0}, "qqqqqqqq": 1})
    assert sorted(explain(error).split("; ")) == [
        "runner.max_retries must be at least 0, got -1",
        "runner.timeout must be greater than 0, got 0",
        "unknown key 'qqqqqqqq'",
    ]


def test_a_prefix_stands_before_every_key() -> None:
    with pytest.raises(ValidationError) as raised:
        RunnerOptions.model_validate({"timeout": 0, "max_retry": 1})
    error = invalid(raised.value, "runner.", RunnerOptions)
    assert isinstance(error, ConfigError)
    assert set(str(error).split("; ", 1)) == {
        "runner.timeout must be greater than 0, got 0",
        "unknown key 'runner.max_retry'; did you mean 'runner.max_retries'?",
    }


def test_our_own_checks_speak_for_themselves() -> None:
    with pytest.raises(ValidationError) as raised:
        TestSample.model_validate({"id": "a", "messages": [{"role": "user"}]})
    assert explain(raised.value) == "messages: messages[0] has no content"


def test_every_key_of_the_config_is_known_by_its_dotted_name() -> None:
    keys = set(known_keys())
    assert {"model", "dataset", "dataset.path", "runner.max_concurrency", "output_dir"} <= keys
    assert {f"runner.{name}" for name in RunnerOptions.model_fields} <= keys
    assert not any(key.startswith(".") for key in keys)


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("gentel", "; did you mean 'gentle'?"),
        ("gentle", "; did you mean 'gentle'?"),
        ("zzz", ""),
        ("", ""),
    ],
)
def test_the_nearest_word_is_offered_and_no_far_one(word: str, hint: str) -> None:
    assert nearest(word, iter(["default", "gentle", "throughput"])) == hint


def test_an_unknown_key_is_compared_with_what_is_known_there() -> None:
    assert unknown_key("a.seeed", ["a.seed"]) == "unknown key 'a.seeed'; did you mean 'a.seed'?"
    assert unknown_key("max_retry", ["a.seed"]) == "unknown key 'max_retry'"
    assert unknown_key("max_retry", []) == "unknown key 'max_retry'"
