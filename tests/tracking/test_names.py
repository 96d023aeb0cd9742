from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mlflow.entities import Param
from mlflow.utils.validation import _validate_metric_name, _validate_param

from lm_eval_so.runner.errors import TrackingError
from lm_eval_so.tracking.names import (
    batches,
    cell_name,
    flat,
    numbers,
    sanitise,
    sanitise_name,
    unique,
)


def test_nested_names_are_joined_by_dots() -> None:
    assert flat({"a": {"b": {"c": 1}}, "d": [1], "e": {}}) == {"a.b.c": 1, "d": [1], "e": {}}


@given(st.text() | st.text(min_size=240, max_size=300))
@example("k" * 251)
@example("가" * 300)
def test_mlflow_takes_every_name_that_was_made_to_fit(key: str) -> None:
    name = sanitise_name(key)
    _validate_param(name, "v")
    _validate_metric_name(name)


@pytest.mark.parametrize("key", ["a", "a.b", "a b", "a/b", "a-b", "모델", "runner.auto.max"])
def test_a_name_that_mlflow_takes_is_left_alone(key: str) -> None:
    assert sanitise_name(key) == key


@given(st.dictionaries(st.text(), st.text(max_size=20), max_size=8))
@example({"a?b": "1", "a_b": "2", "a!b": "3"})
def test_no_value_is_lost_to_another_of_its_name(values: dict[str, str]) -> None:
    fitted = sanitise(values, 6000, "long")
    assert len(fitted.values) == len(values)
    for name in fitted.values:
        _validate_param(name, "v")
    kept = {content["key"]: content["value"] for content in fitted.untruncated.values()}
    for key, value in values.items():
        assert kept.get(key, value) == value
        assert key in kept or fitted.values[key] == value


def test_a_value_is_cut_to_the_limit_and_kept_whole() -> None:
    fitted = sanitise({"p": "x" * 6001, "q": "y" * 6000}, 6000, "long")
    assert len(fitted.values["p"]) == 6000
    assert fitted.values["q"] == "y" * 6000
    ((artifact, content),) = fitted.untruncated.items()
    assert artifact in fitted.values["p"]
    assert content == {"key": "p", "value": "x" * 6001}


@given(st.dictionaries(st.text(min_size=1), st.text("가", max_size=6000), max_size=300))
def test_a_batch_is_what_one_request_takes(values: dict[str, str]) -> None:
    found = list(batches(values))
    assert {k: v for batch in found for k, v in batch.items()} == values
    for batch in found:
        assert 0 < len(batch) <= 100
        request = {"run_id": "0" * 32, "params": [dict(Param(k, v)) for k, v in batch.items()]}
        assert len(json.dumps(request)) < 1_000_000


def test_a_metric_must_be_a_number() -> None:
    assert numbers({"a": {"b": True}, "c": 2}) == {"a.b": 1.0, "c": 2.0}
    with pytest.raises(TrackingError, match="metric 'a' must be a number, got None"):
        numbers({"a": None})


def test_no_metric_is_lost_to_another_of_its_name() -> None:
    assert sorted(numbers({"acc@1": 1, "acc#1": 2}).values()) == [1, 2]
    with pytest.raises(TrackingError, match=r"two values are called 'a\.b'"):
        flat({"a.b": 1, "a": {"b": 2}})


def test_names_are_told_apart_by_numbers_whatever_their_case() -> None:
    taken: set[str] = set()
    assert [unique(n, taken) for n in ("a", "A", "a", "a-2")] == ["a", "A-2", "a-3", "a-2-2"]


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("model=a params.temperature=0.7", "model=a temperature=0.7"),
        ("backend.options.base_url=http://a.b/c", "base_url=http://a.b/c"),
        ("model=org/name-1.5 params.stop=x.y", "model=org/name-1.5 stop=x.y"),
        ("prompt=짧게 params.top_p=1", "prompt=짧게 top_p=1"),
        ("", ""),
    ],
)
def test_a_cell_is_named_by_what_sets_it_apart_without_the_folders_of_its_keys(
    cell: str, name: str
) -> None:
    assert cell_name(cell) == name
