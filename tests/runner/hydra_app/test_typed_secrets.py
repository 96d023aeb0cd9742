"""Secrets in what was typed: Hydra sees variables in their place, and a person ``***``."""

from __future__ import annotations

import base64
import json
import os
import re
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.runner.hydra_app.typed_secrets import (
    handed_on_secrets,
    hide_secrets,
    mask_hidden,
    mask_secret,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

OPTION = "backend.options"
VARIABLE = re.compile(r"\$\{oc\.env:(LM_EVAL_SO_SECRET_[0-9a-f]{8})\}")
ENCODED = base64.urlsafe_b64encode(json.dumps({"X-A": "b c"}).encode()).decode().rstrip("=")
ISSUED = "sk-proj-0123456789abcdef"


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    with handed_on_secrets():
        yield


@pytest.mark.parametrize(
    ("typed", "shown", "hidden"),
    [
        (f"{OPTION}.api_key=k1", f"{OPTION}.api_key=***", ["k1"]),
        (f"++{OPTION}.api_key='a b'", f"++{OPTION}.api_key=***", ["a b"]),
        (f"{OPTION}.api_key=a/b+c=d", f"{OPTION}.api_key=***", ["a/b+c=d"]),
        (f"{OPTION}.api_key=007", f"{OPTION}.api_key=***", ["007"]),
        (f"{OPTION}.api_key=a1,b2", f"{OPTION}.api_key=***,***", ["a1", "b2"]),
        (f"{OPTION}.api_key=choice(a,b)", f"{OPTION}.api_key=choice(***,***)", ["a", "b"]),
        (f"{OPTION}={{api_key: k, seed: 1}}", f"{OPTION}={{api_key:***,seed:1}}", ["k"]),
        (f"{OPTION}={{api_key: a=b/c}}", f"{OPTION}={{api_key: ***}}", ["a=b/c"]),
        (f"{OPTION}.default_headers.X-Odd=v", f"{OPTION}.default_headers.X-Odd=***", ["v"]),
        (
            "backend={options: {default_headers: {X-Odd: 1, A: b}}}",
            "backend={options:{default_headers:{X-Odd:***,A:***}}}",
            ["1", "b"],
        ),
        (
            f"{OPTION}.default_headers=${{json_value:{ENCODED}}}",
            f"{OPTION}.default_headers=${{json_value:***}}",
            [ENCODED],
        ),
        (f"{OPTION}.default_query={{code: c}}", f"{OPTION}.default_query={{code:***}}", ["c"]),
        (
            f"{OPTION}.base_url=http://u:p@h/v1?api-key=k",
            f"{OPTION}.base_url=http://h/v1?api-key=***",
            ["http://u:p@h/v1?api-key=k"],
        ),
        (f"{OPTION}.api_key_env={ISSUED}", f"{OPTION}.api_key_env=***", [ISSUED]),
        (f"metadata.note={ISSUED}", "metadata.note=***", [ISSUED]),
        ("metadata.password=word", "metadata.password=***", ["word"]),
        ("tracking.uri=http://u:p@h", "tracking.uri=http://h", ["http://u:p@h"]),
    ],
)
def test_a_secret_is_a_variable_for_hydra_and_stars_for_a_person(
    typed: str, shown: str, hidden: list[str]
) -> None:
    assert mask_secret(typed) == shown
    (changed,) = hide_secrets([typed])
    assert [os.environ[name] for name in VARIABLE.findall(changed)] == hidden


@pytest.mark.parametrize(
    "typed",
    [
        *(f"{OPTION}.api_key=${{oc.env:MINE}}", f"{OPTION}.api_key=null", f"{OPTION}.api_key="),
        *(f"{OPTION}.api_key_env=MINE", f"{OPTION}.request_defaults={{eos_token: a}}"),
        *("params.max_tokens=1,2", "params.prompt_cache_key=a", "model=org/name:v1", "-m"),
        *("--config-dir=/a/b", "dataset.path='a b/key'", "params.x={a: [1, 'b']}", "~params.key"),
        f"{OPTION}.base_url=http://h:1/v1?api-version=2",
    ],
)
def test_what_is_no_secret_stays_as_it_was_typed(typed: str) -> None:
    assert hide_secrets([typed]) == [typed] == [mask_secret(typed)]


@pytest.mark.parametrize("typed", ["params.key=3", "params.nested={key: 3, token: 1.5}"])
def test_a_number_for_the_model_stays_a_number_and_is_not_shown(typed: str) -> None:
    assert hide_secrets([typed]) == [typed]
    assert "3" not in mask_secret(typed)


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("--backend-opt=api_key=k", "--backend-opt=api_key=***"),
        ("api_key=k", "api_key=***"),
        ('default_headers={"X-A": "b c"}', 'default_headers={"X-A": "***"}'),
        (
            f"cannot read 'backend.options.api_key={ISSUED}'",
            "cannot read 'backend.options.api_key=***",
        ),
    ],
)
def test_flags_and_sentences_are_shown_without_secrets(typed: str, shown: str) -> None:
    assert mask_secret(typed).startswith(shown)


def test_the_variables_are_forgotten() -> None:
    with handed_on_secrets():
        (changed,) = hide_secrets([f"{OPTION}.api_key=k"])
        (name,) = VARIABLE.findall(changed)
        assert os.environ[name] == "k"
    assert name not in os.environ


def test_hidden_arguments_are_shown_alike_each_time() -> None:
    typed = [f"{OPTION}.api_key=k1", f"{OPTION}.base_url=http://u:pw@host/v1", "params.seed=1"]
    first, second = hide_secrets(typed), hide_secrets(typed)
    assert first != second
    shown = [f"{OPTION}.api_key=***", f"{OPTION}.base_url=http://host/v1", "params.seed=1"]
    assert mask_hidden(first) == mask_hidden(second) == shown
    escaped = [re.sub(r"[{}:]", r"\\\g<0>", argument) for argument in first[:1]]
    assert escaped != first[:1]
    assert mask_hidden(escaped) == shown[:1]
