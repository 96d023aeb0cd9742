"""Broken datasets and configs: one clear sentence each, and nothing is sent."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.runner.hydra_app import app

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.fake_openai import FakeOpenAI

GOOD = json.dumps({"id": "a", "messages": [{"role": "user", "content": "hi"}]})


def sample(**changed: object) -> str:
    return json.dumps({"id": "b", "messages": [{"role": "user", "content": "hi"}], **changed})


@pytest.fixture
def refused(
    server: FakeOpenAI, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """Runs a command line that must be refused, and gives what the terminal shows."""
    for name, value in server.env.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> str:
        code = app.main(["backend=openai", "model=m", "output_dir=run", *arguments])
        shown = capsys.readouterr()
        assert code == 2
        assert shown.out == ""
        assert "Traceback" not in shown.err
        assert server.requests == []
        return shown.err

    return run


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        pytest.param("{", ":2: not valid JSON: EOF while parsing", id="torn"),
        pytest.param("hello", ":2: not valid JSON: expected value", id="text"),
        pytest.param("[1, 2]", ":2: a sample must be a mapping", id="array"),
        pytest.param("null", ":2: a sample must be a mapping", id="null"),
        pytest.param('{"messages": []}', ":2: id is missing", id="no-id"),
        pytest.param('{"id": "b"}', ":2: messages is missing", id="no-messages"),
        pytest.param(sample(id=""), ":2: id must be a non-empty string", id="empty-id"),
        pytest.param(sample(id=7.5), ":2: id must be a string, got 7.5", id="number-as-id"),
        pytest.param(sample(id=True), ":2: id must be a string, got True", id="bool-as-id"),
        pytest.param(sample(id=None), ":2: id must be a string, got None", id="null-as-id"),
        pytest.param(sample(id="a"), ":2: duplicate id 'a', first at PATH:1", id="duplicate"),
        pytest.param(
            sample(messages=[]), ":2: messages must be a non-empty list, got []", id="no-message"
        ),
        pytest.param(sample(messages="hi"), ":2: messages must be a list", id="text-as-messages"),
        pytest.param(sample(messages=["hi"]), ":2: messages.0 must be a mapping", id="no-turn"),
        pytest.param(
            sample(messages=[{"role": "robot", "content": "x"}]),
            ":2: messages.0.role must be 'system'",
            id="unknown-role",
        ),
        pytest.param(
            sample(messages=[{"content": "x"}]), ":2: messages.0.role is missing", id="no-role"
        ),
        pytest.param(
            sample(messages=[{"role": "user"}]), "messages[0] has no content", id="no-content"
        ),
        pytest.param(
            sample(messages=[{"role": "user", "content": 7}]),
            ":2: messages.0.content must be a string or a list, got 7",
            id="7",
        ),
        pytest.param(sample(tags="vip"), ":2: tags must be a list", id="text-as-tags"),
        pytest.param(sample(metadata=[]), ":2: metadata must be a mapping", id="list-as-metadata"),
        pytest.param(
            '{"id": "b\x01"}', ":2: not valid JSON: control character", id="control-character"
        ),
        pytest.param(GOOD + GOOD, ":2: not valid JSON: trailing characters", id="two-on-a-line"),
    ],
)
def test_a_broken_line_is_named_with_its_file(
    refused: Callable[..., str],
    tmp_path: Path,
    lines: str,
    sentence: str,
) -> None:
    path = tmp_path / "test.jsonl"
    path.write_text(f"{GOOD}\n{lines}\n")
    shown = refused("dataset=path", f"dataset.path={path}")
    assert shown.startswith(f"error: {path}:2: ")
    assert sentence.replace("PATH", str(path)) in shown
    assert shown.count("\n") == 1


@pytest.mark.parametrize(
    ("files", "path", "sentence"),
    [
        pytest.param({}, "absent", "dataset absent does not exist", id="absent"),
        pytest.param({}, "https://h/x.jsonl", "a dataset is a local file: download it", id="url"),
        pytest.param({"d/x": b""}, "d", "d has no test.jsonl", id="no-test.jsonl"),
        pytest.param({"test.jsonl": b""}, "test.jsonl", "has no samples", id="empty"),
        pytest.param({"test.jsonl": b"\n \n\n"}, "test.jsonl", "has no samples", id="blank"),
        pytest.param({"data.doc": b"id\n"}, "data.doc", "neither a directory nor", id="doc"),
        pytest.param({"data.csv": b"id\n"}, "data.csv", "has no samples", id="csv"),
        pytest.param({"t.jsonl": b"\xff\xfe\x00"}, "t.jsonl", "looks like UTF-16", id="utf16"),
        pytest.param({"t.jsonl.gz": b"plain"}, "t.jsonl.gz", "cannot be read", id="no-gzip"),
        pytest.param(
            {"t.jsonl.gz": gzip.compress(GOOD.encode() * 99)[:-9]},
            "t.jsonl.gz",
            "t.jsonl.gz",
            id="torn-gzip",
        ),
        pytest.param(
            {"d/test.jsonl": GOOD.encode(), "d/metadata.json": b"{\n\n x"},
            "d",
            "metadata.json:3: not valid JSON",
            id="metadata-no-json",
        ),
        pytest.param(
            {
                "d/test.jsonl": GOOD.encode(),
                "d/metadata.json": '{"name": "안녕"}'.encode("cp949"),
            },
            "d",
            "metadata.json: not UTF-8 (looks like CP949); save it as UTF-8",
            id="metadata-cp949",
        ),
        pytest.param(
            {"d/test.jsonl": GOOD.encode(), "d/metadata.json": '{"name": "x"}'.encode("utf-16")},
            "d",
            "metadata.json: not UTF-8 (looks like UTF-16); save it as UTF-8",
            id="metadata-utf-16",
        ),
        pytest.param(
            {"d/test.jsonl": GOOD.encode(), "d/metadata.json": b" \n"},
            "d",
            "metadata.json: is empty; remove it, or write {} into it",
            id="metadata-empty",
        ),
        pytest.param({"t.jsonl": GOOD.encode("utf-32")}, "t.jsonl", "like UTF-32", id="utf32"),
        pytest.param(
            {"d/test.jsonl": GOOD.encode(), "d/metadata.json": b"[]"},
            "d",
            "metadata must be a JSON object, got list",
            id="metadata-list",
        ),
    ],
)
def test_a_broken_file_is_named(
    refused: Callable[..., str],
    tmp_path: Path,
    files: dict[str, bytes],
    path: str,
    sentence: str,
) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    shown = refused("dataset=path", f"dataset.path={path}")
    assert sentence in shown
    assert shown.startswith("error: ")
    assert shown.count("\n") == 1


def test_ten_broken_lines_are_told_at_once_and_no_more(
    refused: Callable[..., str],
    tmp_path: Path,
) -> None:
    path = tmp_path / "test.jsonl"
    path.write_text("{}\n" * 50)
    shown = refused("dataset=path", f"dataset.path={path}")
    assert shown.count(f"{path}:") == 10
    assert "stopped after 10" in shown


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (
            ["runner.max_concurrency=0"],
            "runner.max_concurrency must be at least 1 or 'auto', got 0",
        ),
        (["runner.max_concurrency=100001"], "must be at most 100000 or 'auto', got 100001"),
        (["runner.timeout=-1"], "runner.timeout must be greater than 0, got -1"),
        (["runner.timeout=nan"], "runner.timeout must be a finite number"),
        (["runner.max_retries=-1"], "runner.max_retries must be at least 0, got -1"),
        (["runner.rate_limit=0"], "runner.rate_limit must be greater than 0, got 0"),
        (["runner.max_retries=two"], "runner.max_retries must be a whole number, got 'two'"),
        (["runner.log_level=LOUD"], "runner.log_level must be 'DEBUG', 'INFO'"),
        (
            ["runner.max_concurency=4"],
            "unknown key 'runner.max_concurency'; did you mean 'runner.max_concurrency'?",
        ),
        (["runnr.timeout=4"], "unknown key 'runnr'; did you mean 'runner'?"),
        (["modle=x"], "unknown key 'modle'; did you mean 'model'?"),
        (["backend=opnai"], "unknown backend 'opnai'; did you mean 'openai'?"),
        (["dataset=toy"], "unknown dataset 'toy'"),
        (["engine=rey"], "unknown engine 'rey'; did you mean 'ray'?"),
        (["params=greddy"], "unknown params 'greddy'; did you mean 'greedy'?"),
        (["backend.kind=nope"], "unknown backend 'nope'"),
        (["backend.options.base_url=host:80"], "base_url: must start with http:// or https://"),
        (["backend.options.api_kee_env=X"], "did you mean 'backend.options.api_key_env'?"),
        (["backend.options.api_key_env=NO_SUCH"], "set the variable NO_SUCH"),
        (["params.messages=[]"], "params.messages is not a parameter"),
        (["model=a=b=c"], "cannot read the override 'model=a=b=c'"),
        (["metadata.note=a(b"], "needs quotes that Hydra sees: 'metadata.note=\"a(b\"')"),
        (["dataset=/etc"], "dataset=/etc names a path; type dataset=path dataset.path=/etc"),
        (["repeats=1000000000"], "repeats must be at most 10000, got 1000000000"),
        (
            ["backend.options.default_headers={X-A:null}"],
            "error: backend.options.default_headers.X-A must be a string, got None\n",
        ),
        (["model="], "model must be a non-empty string, got ''"),
        (["objective=nope"], "objective: unknown number 'nope'"),
        (["output_dir="], "output_dir: is empty; is a variable of the shell not set?"),
        (["output_root="], "output_root: is empty;"),
        (["dataset.path="], "dataset.path: is empty;"),
        (["--config-dir="], "--config-dir: is empty;"),
        (["--config-dir", ""], "--config-dir: is empty;"),
        (["--config-dir", "a" * 300], "File name too long"),
        (["output_dir=" + "가" * 90], "output_dir: holds a name that is too long"),
        (["output_root=" + "가" * 90], "output_root: holds a name that is too long"),
        (["dataset.path=" + "가" * 90], "dataset.path: holds a name that is too long"),
        (["dataset=" + "가" * 90], "unknown dataset '가가"),
        (["dataset="], "unknown dataset ''"),
        (["output_dir=d\udcb0"], "holds bytes that are not UTF-8"),
        (
            ["prompt=few_shot", "prompt.few_shot.path=" + "a" * 300],
            "prompt.few_shot.path: holds a name that is too long",
        ),
        (
            ["backend=python", f"backend.options.callable={'a' * 300}.py:f"],
            "backend.options.callable: there is no file",
        ),
        (
            [
                "backend=command",
                "backend.options.command=[cat]",
                f"backend.options.cwd={'a' * 300}",
            ],
            "backend.options.cwd: holds a name that is too long",
        ),
        (
            ["backend=local", f"backend.options.model_path={'a' * 300}"],
            "backend.options.model_path: holds a name that is too long",
        ),
        (["dataset=path"], "dataset.path is missing"),
        (["runner=7"], "unknown runner '7' (known: "),
        (["params=null"], "unknown params 'null' (known: "),
        (["backend=null"], "unknown backend 'null' (known: "),
        (["params=[1]"], "the config cannot be composed: TypeError"),
        (["select=[1]"], "select must be a mapping, got [1]"),
        (["backend.options.request_defaults=[1]"], "request_defaults must be a mapping"),
        (["temperature=0"], "unknown key 'temperature'; did you mean 'params.temperature'?"),
        (["max_tokens=5"], "did you mean 'params.max_tokens'?"),
        (["seed=1"], "did you mean 'params.seed'?"),
        (["base_url=x"], "did you mean 'backend.options.base_url'?"),
        (["backend.api_key=x"], "did you mean 'backend.options.api_key'?"),
        (["limit=5"], "did you mean 'select.limit'?"),
        (["params.x=nan"], "params: x is nan, for which JSON has no number"),
        (["params.x={y: [1, 1e400]}"], "params: x.y.1 is inf, for which JSON has no number"),
        (["params.x=12345678901234567890123"], "params: x is an integer above 64 bits"),
        (["metadata.x=nan"], "metadata: x is nan"),
        (["metadata.x=12345678901234567890123"], "metadata: x is an integer above 64 bits"),
        (["params.a=${oc.env:NO_SUCH_VARIABLE}"], "NO_SUCH_VARIABLE"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_broken_config_is_one_sentence_with_the_key(
    refused: Callable[..., str],
    overrides: list[str],
    sentence: str,
) -> None:
    shown = refused(*overrides)
    assert sentence in shown
    assert shown.startswith("error: ")
    assert shown.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("runner: [", "mine.yaml:2: not valid YAML"),
        ("runner:\n  tiemout: 3\n", "unknown key 'runner.tiemout'; did you mean 'runner.timeout'?"),
        ("# @package _global_\nrunner:\n  timeout: soon\n", "runner.timeout must be a number"),
    ],
    ids=["no-yaml", "unknown-key", "wrong-type"],
)
def test_a_broken_file_of_the_users_own_is_one_sentence(
    refused: Callable[..., str],
    tmp_path: Path,
    text: str,
    sentence: str,
) -> None:
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    if "@package" not in text:
        text = "# @package _global_\n" + text
    (tmp_path / "conf" / "experiment" / "mine.yaml").write_text(text)
    shown = refused("--config-dir", str(tmp_path / "conf"), "experiment=mine")
    assert sentence in shown
    assert shown.count("\n") == 1


@pytest.mark.parametrize(
    ("how", "runs"), [(["model=m"], 1), (["-m", "model=m,n"], 2)], ids=["run", "sweep"]
)
def test_a_folder_whose_name_is_no_text_is_worked_in(
    how: list[str],
    runs: int,
    make_dataset: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data, folder = make_dataset(3), tmp_path / "c\udcff"
    folder.mkdir()
    data.rename(folder / "data")
    monkeypatch.chdir(folder)
    command = ["backend=simulated", "backend.options.latency_ms=1", "dataset.path=data", *how]
    assert app.main(command) == 0
    found = [json.loads(path.read_bytes()) for path in folder.glob("outputs/*/*/run_metadata.json")]
    assert [each["state"] for each in found] == ["complete"] * runs
    assert found[0]["dataset"]["location"].endswith("c\ufffd/data/test.jsonl")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        pytest.param(b"null: a", "a key is null (~)", id="null-key"),
        pytest.param(b"a: {~: b}", "a key of a is null (~)", id="inner-null-key"),
        pytest.param(b"a: !!set {x, y}", "a is a set, which is no value", id="set"),
        pytest.param(b"a: &x\n  b: *x\n", "holds itself", id="holds-itself"),
        pytest.param(b"[" * 3000, "nested too deep", id="deep"),
        pytest.param(b"5", "a config file must be a mapping, got 5", id="number"),
        pytest.param(b"[1, 2]", "a config file must be a mapping, got [1, 2]", id="list"),
        pytest.param("# 안녕하세요".encode("cp949"), "looks like CP949", id="cp949"),
        pytest.param("# 안녕하세요".encode("utf-16"), "looks like UTF-16", id="utf-16"),
        pytest.param("# 안녕하세요".encode("utf-16-le"), "looks like UTF-16-LE", id="utf-16-le"),
    ],
)
def test_a_file_of_a_group_that_is_no_config_is_named(
    refused: Callable[..., str], tmp_path: Path, content: bytes, sentence: str
) -> None:
    path = tmp_path / "conf" / "params" / "mine.yaml"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    shown = refused("--config-dir", str(tmp_path / "conf"), "params=mine")
    assert shown.startswith(f"error: {path}: ")
    assert sentence in shown
    assert shown.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("defaults: [mine]", "the defaults of a config file lead back to it"),
        ("a: ${", "a: no viable alternative"),
    ],
)
def test_what_hydra_tells_without_words_is_told(
    refused: Callable[..., str], tmp_path: Path, text: str, sentence: str
) -> None:
    path = tmp_path / "conf" / "params" / "mine.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    shown = refused("--config-dir", str(tmp_path / "conf"), "params=mine")
    assert sentence in shown
    assert shown.count("\n") == 1
