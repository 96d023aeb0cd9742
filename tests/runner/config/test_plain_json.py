"""What is given as parameters or notes is plain JSON, or is refused by its key."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pytest

from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.models import RunConfig


def config(**fields: Any) -> RunConfig:  # noqa: ANN401 - whatever is to be refused
    return RunConfig(backend="b", model="m", **fields)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (np.float64(0.5), 0.5),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.array([1, 2]), [1, 2]),
        ((1, 2), [1, 2]),
        ({1: "a"}, {"1": "a"}),
        (date(2026, 1, 2), "2026-01-02"),
        (2**64 - 1, 2**64 - 1),
        (True, True),
        (None, None),
        (1.0, 1.0),
    ],
    ids=str,
)
@pytest.mark.parametrize("field", ["parameters", "metadata"])
def test_values_of_other_types_become_plain(field: str, value: object, kept: object) -> None:
    found = getattr(config(**{field: {"x": {"y": value}}}), field)["x"]["y"]
    assert found == kept
    assert type(found) is type(kept)


HOLDS_ITSELF: dict[str, Any] = {}
HOLDS_ITSELF["x"] = HOLDS_ITSELF


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"x": float("nan")}, "x is nan, for which JSON has no number"),
        ({"x": {"y": [1, float("inf")]}}, "x.y.1 is inf"),
        ({"x": np.float64("nan")}, "x is nan"),
        ({"x": 10**23}, "x is an integer above 64 bits"),
        ({"x": object()}, "x is no text or number, and cannot be written as JSON (object)"),
        ({"x": {1, 2}}, "x is no text or number, and cannot be written as JSON (set)"),
        ({"x": "\ud83d"}, "x is text with half of a character"),
        ({"x": {None: 1}}, "x.None is no name of a value"),
        (HOLDS_ITSELF, "holds itself, or is nested too deep"),
    ],
    ids=lambda value: value.encode("ascii", "replace").decode() if isinstance(value, str) else "",
)
@pytest.mark.parametrize("field", ["parameters", "metadata"])
def test_what_json_cannot_hold_is_refused_by_its_key(
    field: str, given: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        config(**{field: given})
    assert str(raised.value).startswith(f"{field}: {sentence}")


def test_options_that_hold_themselves_are_refused() -> None:
    with pytest.raises(ConfigError, match="holds itself"):
        config(backend_options=HOLDS_ITSELF)
