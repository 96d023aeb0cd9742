"""Names that are offered for an unknown key are those that there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from lm_eval_so.runner.backends.registry import _BUILT_IN, _backend_class
from lm_eval_so.runner.config.messages import OPTIONS, PARAMETERS, known_keys, unknown_key
from lm_eval_so.runner.config.overrides import GROUPS

CONF = Path(__file__).parents[3] / "conf"


def test_the_options_are_those_of_our_backends_that_no_other_key_is_called() -> None:
    models = [_backend_class(kind).options_model for kind in _BUILT_IN]
    names = {name for model in models if model is not None for name in model.model_fields}
    assert names - {key.rpartition(".")[2] for key in known_keys()} == OPTIONS


def test_the_groups_are_the_folders_of_conf() -> None:
    folders = {path.name for path in CONF.iterdir() if path.is_dir()} - {"hydra"}
    assert folders | {"local"} == GROUPS


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_a_parameter_belongs_to_params(name: str) -> None:
    assert unknown_key(name) == f"unknown key {name!r}; did you mean 'params.{name}'?"


@pytest.mark.parametrize("name", sorted(OPTIONS - PARAMETERS))
def test_an_option_belongs_to_the_backend(name: str) -> None:
    for typed in (name, f"backend.{name}"):
        assert (
            unknown_key(typed) == f"unknown key {typed!r}; did you mean 'backend.options.{name}'?"
        )


def test_a_guess_by_letters_comes_after() -> None:
    assert unknown_key("limit").endswith("did you mean 'select.limit'?")
