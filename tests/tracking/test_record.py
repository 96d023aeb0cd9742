"""What MLflow is told of a run directory."""

from __future__ import annotations

from pathlib import Path

import yaml

from lm_eval_so.tracking.record import config_yaml, params_of, tags_of
from support.metadata import metadata


def test_a_selection_is_a_tag_which_can_change_and_no_param_which_cannot() -> None:
    pilot = metadata(selection={"asked": {"limit": 1}, "selected": 1, "of": 2})
    whole = metadata(selection={"asked": {}, "selected": 2, "of": 2})
    assert params_of(pilot) == params_of(whole)
    assert not [key for key in params_of(pilot) if key.startswith("select")]
    told = [tags_of(each, Path())["lm_eval_so.selected"] for each in (pilot, whole)]
    assert told == ["1 of 2", "2 of 2"]
    assert yaml.safe_load(config_yaml(pilot))["select"] == {"limit": 1}


def test_a_run_of_an_earlier_release_has_no_selection() -> None:
    assert "lm_eval_so.selected" not in tags_of(metadata(), Path())
