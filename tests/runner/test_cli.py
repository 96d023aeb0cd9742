from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hydra import compose, initialize_config_dir
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import rows
from lm_eval_so import __version__
from lm_eval_so.runner import cli
from lm_eval_so.runner.config.compose import plan_from
from lm_eval_so.runner.hydra_app import app
from lm_eval_so.runner.hydra_app.register import register
from lm_eval_so.runner.hydra_app.shipped import shipped

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.fake_openai import FakeOpenAI

OpenAI = ["--backend", "openai", "--output-dir", "run"]


@pytest.fixture
def flags(
    server: FakeOpenAI, make_dataset: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., int]:
    """Runs flags against the server, on two samples."""
    for name, value in server.env.items():
        monkeypatch.setenv(name, value)
    dataset = str(make_dataset(2))
    return lambda *more: cli.main([*OpenAI, "--dataset", dataset, *more])


def metadata(tmp_path: Path) -> dict[str, Any]:
    return json.loads((tmp_path / "run" / "run_metadata.json").read_text())


@pytest.mark.parametrize(
    "model", ["org/name:v1=x", "a=b=c", "모델", "a b", "'quoted\"", "${oc.env:HOME}", "null", "1e3"]
)
def test_any_model_name_reaches_the_server(
    flags: Callable[..., int], server: FakeOpenAI, tmp_path: Path, model: str
) -> None:
    assert flags("--model", model) == 0
    assert {received.body["model"] for received in server.requests} == {model}
    assert metadata(tmp_path)["run_config"]["model"] == model


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("temperature=0.7", 0.7),
        ("n=2", 2),
        ("stop=END", "END"),
        ('stop=["\\n"]', ["\n"]),
        ('stop=["},{","$"]', ["},{", "$"]),
        ("flag=true", True),
        ('text="true"', "true"),
        ("text=", ""),
        ("text=a=b", "a=b"),
        ("text=yes", "yes"),
        ("text=NaN", "NaN"),
        ("text=$HOME ${x} {y} \\ '", "$HOME ${x} {y} \\ '"),
        ("text=한국어 😀", "한국어 😀"),
        ('guided_json={"type":"object","a.b":[1,null]}', {"type": "object", "a.b": [1, None]}),
        ("nested.key=3", {"key": 3}),
    ],
)
def test_a_param_is_json_if_it_parses_and_else_a_string(
    flags: Callable[..., int], server: FakeOpenAI, pair: str, value: object
) -> None:
    assert flags("--model", "m", "--param", pair) == 0
    name = pair.partition("=")[0].partition(".")[0]
    assert [received.body[name] for received in server.requests] == [value, value]


def test_a_null_param_is_not_sent(flags: Callable[..., int], server: FakeOpenAI) -> None:
    assert flags("--model", "m", "--param", "top_p=null") == 0
    assert "top_p" not in server.requests[0].body


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(max_size=20)
    # surrogates stand in no JSON file
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(JSON)
@settings(max_examples=60, deadline=None)
def test_every_json_value_passes_through_hydra_unharmed(value: object) -> None:
    register()
    with initialize_config_dir(str(shipped("conf")), version_base="1.3"):
        composed = compose("config", ["backend=simulated", f"params.x={cli.override_value(value)}"])
    assert plan_from(composed).run_config.parameters["x"] == value


def test_backend_options_reach_the_request(
    flags: Callable[..., int], server: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL")
    options = {
        "api_base": server.base_url,
        "request_defaults": '{"top_p":0.9}',
        "default_headers": '{"X-Team":"qa"}',
        "organization": "org-1",
        "project": "proj-1",
        "api_key": "sk-typed-0123456789",
    }
    pairs = [f"--backend-opt={name}={value}" for name, value in options.items()]
    assert flags("--model", "m", *pairs) == 0
    received = server.requests[0]
    sent = {name.lower(): value for name, value in received.headers.items()}
    assert received.body["top_p"] == 0.9
    assert sent["x-team"] == "qa"
    assert sent["openai-organization"] == "org-1"
    assert sent["openai-project"] == "proj-1"
    assert sent["authorization"] == "Bearer sk-typed-0123456789"


def test_the_other_flags_decide_how_the_run_is_carried_out(
    flags: Callable[..., int], tmp_path: Path
) -> None:
    notes = tmp_path / "notes.json"
    notes.write_text('{"id": "named", "owner": "qa"}')
    given = {
        "max-concurrency": "3",
        "timeout": "7.5",
        "max-retries": "4",
        "rate-limit": "200",
        "trace-prefix": "night 1",
        "log-level": "debug",
        "engine": "sync",
        "metadata": str(notes),
    }
    assert flags("--model", "m", *[f"--{name}={value}" for name, value in given.items()]) == 0
    found = metadata(tmp_path)
    options = found["options"]
    assert (options["max_concurrency"], options["timeout"]) == (3, 7.5)
    assert (options["max_retries"], options["rate_limit"]) == (4, 200)
    assert options["log_level"] == "DEBUG"
    assert found["dataset"]["metadata"]["owner"] == "qa"
    traces = [row["trace_id"] for row in rows(tmp_path / "run" / "run_results.jsonl")]
    assert all(trace.startswith("night 1-s") for trace in traces)


def test_flags_and_overrides_meet_in_one_run(
    flags: Callable[..., int], server: FakeOpenAI, tmp_path: Path
) -> None:
    assert flags("--model", "org/m:1", "--param", "temperature=0", "--param", "stop=END") == 0
    done = app.main(
        [
            *("backend=openai", "model=org/m:1", "output_dir=run"),
            *("dataset=path", f"dataset.path={tmp_path / 'numbers'}"),
            *("params.temperature=0.0", "params.stop=END"),
        ]
    )
    assert done == 0
    assert len(server.requests) == 2, "the second command found everything answered"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--models", "m"], "unrecognized arguments: --models m"),
        (["--mod", "m"], "unrecognized arguments: --mod m"),
        (["--param", "temperature"], "--param needs NAME=VALUE, got 'temperature'"),
        (["--param", "=1"], "--param '=1': '' is not a valid name"),
        (["--backend-opt", "api_key"], "--backend-opt needs NAME=VALUE, got 'api_key'"),
        (["--backend", "opnai"], "unknown backend 'opnai'; did you mean 'openai'?"),
        (["--engine", "rey"], "unknown engine 'rey'; did you mean 'ray'?"),
        (["--timeout", "soon"], "runner.timeout must be a number, got 'soon'"),
        (["--max-concurrency", "0"], "runner.max_concurrency must be at least 1 or 'auto', got 0"),
        (["--log-level", "loud"], "runner.log_level must be 'DEBUG'"),
        (["--dataset", "nowhere"], "dataset nowhere does not exist"),
        (["--metadata", "nowhere.json"], "metadata nowhere.json cannot be read"),
        (["--backend-opt", "api_kee=x"], "did you mean 'backend.options.api_key'?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_flag_is_one_sentence(
    flags: Callable[..., int],
    server: FakeOpenAI,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    sentence: str,
) -> None:
    assert flags("--model", "m", *arguments) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("error: ")
    assert sentence in shown
    assert shown.count("\n") == 1
    assert server.requests == []


def test_the_output_directory_is_required(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--backend", "simulated"]) == 2
    assert "required: --output-dir" in capsys.readouterr().err


def test_help_and_version_are_answers(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"lm-eval-runner {__version__}\n"
    assert cli.main(["--help"]) == 0
    shown = capsys.readouterr().out
    for flag in (
        *("dataset", "metadata", "backend", "model", "param", "backend-opt", "engine"),
        *("max-concurrency", "timeout", "max-retries", "rate-limit", "trace-prefix"),
        *("output-dir", "log-level", "version", "help"),
    ):
        assert f"--{flag}" in shown
