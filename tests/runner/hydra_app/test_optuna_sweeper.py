"""A search picks its cells by what came of those before, and goes on where it stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from conftest import program
from support.fake_openai import FakeOpenAI, Received, Reply
from support.patience import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SAMPLES = 4
needs_optuna = pytest.mark.usefixtures("_optuna")


@pytest.fixture
def _optuna() -> None:
    pytest.importorskip("optuna", minversion="4.5")


@pytest.fixture
def words(make_dataset: Callable[..., Path]) -> list[str]:
    return [
        *("-m", "hydra/sweeper=optuna", "hydra.sweeper.n_jobs=1", "hydra.sweeper.n_trials=3"),
        *("backend=openai", "model=a", "dataset=path", f"dataset.path={make_dataset(SAMPLES)}"),
        *("objective=summary.tokens.output", "sweep_name=search"),
    ]


def wordy_when_hot(received: Received, _nth: int) -> Reply:
    """The answer is longer the hotter it is asked for."""
    return Reply(text="word " * (1 + int(10 * received.body.get("temperature", 0))))


def record(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "outputs/numbers/sweeps/search/sweep.json").read_text())


def tried(folder: Path) -> list[tuple[str, float | None]]:
    return [
        (cell["settings"]["params.temperature"], cell["objective"])
        for cell in record(folder)["cells"]
    ]


@needs_optuna
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_the_record_has_all_trials_and_the_best_is_told(
    words: list[str],
    command: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
    direction: str,
) -> None:
    with FakeOpenAI(wordy_when_hot) as server:
        done = command(
            *words,
            *(f"hydra.sweeper.direction={direction}", "params.temperature=choice(0,0.5,1)"),
            "hydra/sweeper/sampler=grid",
            env=server.env,
        )
    assert done.returncode == 0, done.stderr
    found = dict(tried(tmp_path))
    assert sorted(found) == ["0", "0.5", "1"]
    assert None not in found.values()
    best = (min if direction == "minimize" else max)(found, key=lambda key: found[key] or 0)
    assert f"best      params.temperature={best}: " in done.stdout
    assert len(server.requests) == 3 * SAMPLES
    assert "resume with" not in done.stdout


@needs_optuna
@pytest.mark.parametrize("storage", [None, "sqlite:///{}/optuna.db"])
def test_more_trials_go_on_and_pay_for_none_twice(
    words: list[str],
    command: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
    storage: str | None,
) -> None:
    kept = [] if storage is None else [f"hydra.sweeper.storage={storage.format(tmp_path)}"]
    search = [*words, "params.temperature=interval(0,1)", *kept]
    with FakeOpenAI(wordy_when_hot) as server:
        assert command(*search, env=server.env).returncode == 0
        first = tried(tmp_path)
        again = command(*search, env=server.env)
        assert again.returncode == 0, again.stderr
        assert len(server.requests) == 3 * SAMPLES, "all has been tried"
        more = command(*search, "hydra.sweeper.n_trials=5", env=server.env)
        assert more.returncode == 0, more.stderr
        assert len(server.requests) == 5 * SAMPLES
    assert tried(tmp_path)[:3] == first
    assert len(tried(tmp_path)) == 5


@needs_optuna
def test_a_key_that_is_typed_makes_no_other_search(
    words: list[str],
    command: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    search = [word for word in words if not word.startswith("sweep_name")]
    search += ["params.temperature=choice(0,0.5,1)", "backend.options.api_key=typed"]
    with FakeOpenAI(wordy_when_hot) as server:
        assert command(*search, env=server.env).returncode == 0
        sent = len(server.requests)
        again = command(*search, env=server.env)
        assert again.returncode == 0, again.stderr
        assert len(server.requests) == sent, "all has been tried"
    assert len(list(tmp_path.rglob("sweep.json"))) == 1


@needs_optuna
def test_a_trial_that_was_killed_is_gone_on_with(
    words: list[str], command: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    search = [*words, "params.temperature=interval(0,1)", "runner.max_concurrency=1"]
    held = "question 2"

    def hold(received: Received, _nth: int) -> Reply:
        return Reply(hang=received.question == held)

    with FakeOpenAI(hold) as server:
        process = subprocess.Popen(
            [*program(), *search], env={**os.environ, **server.env}, stdout=subprocess.DEVNULL
        )
        wait_for(lambda: held in [received.question for received in server.requests])
        process.send_signal(signal.SIGKILL)
        process.wait()
        (value,) = {received.body["temperature"] for received in server.requests}
        server.behave = wordy_when_hot
        done = command(*search, env=server.env)
        assert done.returncode == 0, done.stderr
        assert len(server.requests) == 3 * SAMPLES + 1, "what was in flight is asked again"
    assert float(tried(tmp_path)[0][0]) == value
    assert len(tried(tmp_path)) == 3


@needs_optuna
def test_a_trial_that_fails_ends_the_search_and_has_its_turn_again(
    words: list[str], command: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    search = [*words, "params.temperature=range(0,3)", "hydra/sweeper/sampler=random"]
    with FakeOpenAI(lambda _received, _nth: Reply(status=401, body=b"{}")) as server:
        done = command(*search, env=server.env)
        assert done.returncode == 2
        assert "resume with" in done.stdout
        (first,) = tried(tmp_path)
        assert first[1] is None
        server.behave = wordy_when_hot
        done = command(*search, env=server.env)
        assert done.returncode == 0, done.stderr
    assert tried(tmp_path)[0][0] == first[0]
    assert all(value is not None for _, value in tried(tmp_path))


@needs_optuna
@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (["objective=null"], "a search needs a number to go by, such as objective="),
        (["objective=summary.latency_ms.p05"], "objective: summary.latency_ms needs one of p50"),
        (["hydra.sweeper.sampler.kind=best"], "unknown sampler 'best'"),
        (["hydra/sweeper/sampler=grid"], "a grid needs single values"),
        (["hydra.sweeper.direction=up"], "hydra/sweeper=optuna: "),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_sent(
    words: list[str],
    command: Callable[..., subprocess.CompletedProcess[str]],
    server: FakeOpenAI,
    wrong: list[str],
    sentence: str,
) -> None:
    done = command(*words, "params.temperature=interval(0,1)", *wrong, env=server.env)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert not server.requests


@pytest.mark.parametrize(
    ("module", "sentence"),
    [
        ("raise ImportError", "needs the extra optuna: pip install 'lm-eval-so[optuna]'"),
        ("__version__ = '2.10.1'\nclass storages: pass", "optuna 2.10.1 is too old"),
    ],
)
def test_without_the_extra_or_with_an_old_one_a_sentence_says_so(
    words: list[str],
    command: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
    module: str,
    sentence: str,
) -> None:
    (tmp_path / "optuna.py").write_text(module)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = command(*words, "params.temperature=choice(0,1)", env={"PYTHONPATH": path})
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
