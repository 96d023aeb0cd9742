from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_so.runner.config.directory import run_directory, safe_name
from lm_eval_so.runner.config.identity import identity
from lm_eval_so.runner.models import RunConfig

FORBIDDEN = set('<>:"/\\|?*')
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in "123")}


@given(st.text(max_size=400))
def test_any_text_becomes_a_name_that_every_file_system_takes(text: str) -> None:
    name = safe_name(text)
    assert name not in ("", ".", "..")
    assert len(name.encode()) <= 255
    assert not FORBIDDEN & set(name)
    assert min(name) > " "
    assert not name.endswith((".", " "))
    assert name.partition(".")[0].lower() not in RESERVED


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", "meta-llama-Llama-3.1-8B-Instruct"),
        ("org/name:v1", "org-name-v1"),
        ("모델 하나", "모델-하나"),
        ("../..", "_"),
        ("nul", "_nul"),
        ("COM1.txt", "_COM1.txt"),
        ("가" * 200, "가" * 85),
    ],
)
def test_a_name_stays_readable(text: str, name: str) -> None:
    assert safe_name(text) == name


def directory(dataset: str = "d", endpoint: str = "e", **parameters: object) -> Path:
    config = RunConfig(backend="openai", model="org/m:1", parameters=dict(parameters))
    return run_directory(Path("out"), identity(dataset, config, endpoint, {}))


def test_a_run_directory_tells_backend_model_and_parameters() -> None:
    path = directory(temperature=0, stop=["a/b"], unset=None)
    assert path.parent == Path("out/d")
    assert path.name.startswith("openai_org-m-1_stop=[-a-b-],temperature=0-")
    assert len(path.name.rpartition("-")[2]) == 8


def test_long_parameters_keep_the_fingerprint() -> None:
    one, other = directory(stop="x" * 1000 + "1"), directory(stop="x" * 1000 + "2")
    assert one != other
    assert len(one.name.encode()) <= 255


def test_two_endpoints_never_share_a_directory() -> None:
    assert directory(endpoint="http://a/v1") != directory(endpoint="http://b/v1")
