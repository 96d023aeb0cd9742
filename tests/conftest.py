from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from support.fake_openai import FakeOpenAI

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.mlflow_tree import MlflowServer

REPOSITORY = Path(__file__).resolve().parent.parent

# Tables and the lines of ps are cut to these; colours are put into what is read.
_FOREIGN = ("ANTHROPIC_", "OPENAI_", "LM_EVAL_SO_", "HYDRA_", "MLFLOW_")
_TERMINAL = {"COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "CLICOLOR_FORCE"}


# A machine that others use is slow at times, which tells nothing about what is tested.
settings.register_profile(
    "any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any-machine")


def pytest_configure() -> None:
    """Takes signals as usual: a shell ignores Ctrl-C for what it starts with ``&``, nohup SIGHUP.

    Every process that a test starts would ignore them too.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    usual: dict[str, Any] = {"SIGINT": signal.default_int_handler, "SIGHUP": signal.SIG_DFL}
    for name, handler in usual.items():
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Ends what tests left running: one that fails does not come to where it ends its process."""
    hands_out = not hasattr(session.config, "workerinput") and session.config.getoption("tx", [])
    for pid in () if hands_out else descendants(os.getpid()):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def descendants(pid: int) -> list[int]:
    """The processes that this one started, and those that they started; on Linux alone."""
    children: list[int] = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # a thread, or all of it, ends while it is looked at
            children += map(int, file.read_text().split())
    return [found for child in children for found in (*descendants(child), child)]


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test meets the developer's keys or terminal, or writes into the checkout."""
    for name in list(os.environ):
        if name.startswith(_FOREIGN) or name in _TERMINAL:
            monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as fake:
        yield fake


@pytest.fixture(scope="session")
def new_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database without a run; to make one takes seconds."""
    from lm_eval_so.tracking.client import TrackingClient  # noqa: PLC0415 - mlflow takes seconds too

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    TrackingClient(f"sqlite:///{path}").probe()
    return path


@pytest.fixture
def database(new_database: Path, tmp_path: Path) -> str:
    """The address of an MLflow database of the test's own."""
    path = tmp_path / "mlflow" / "mlflow.db"
    path.parent.mkdir()
    shutil.copy(new_database, path)
    return f"sqlite:///{path}"


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A real MLflow server, which tests share: each names experiments of its own."""
    from support.mlflow_tree import MlflowServer  # noqa: PLC0415 - mlflow takes seconds

    with MlflowServer(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def make_dataset(tmp_path: Path) -> Callable[..., Path]:
    """Writes a dataset of ``count`` samples, ``question <n>`` each."""

    def make(count: int, name: str = "numbers", **changed: str) -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        rows = [
            {"id": f"s{n}", "messages": [{"role": "user", "content": f"question {n}"}]}
            for n in range(count)
        ]
        for row in rows:
            if row["id"] in changed:
                row["messages"] = [{"role": "user", "content": changed[str(row["id"])]}]
        (folder / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (folder / "metadata.json").write_text(json.dumps({"id": name, "version": "1"}))
        return folder

    return make


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs ``lm-eval-so`` (or another module) in a process of its own."""

    def run(
        *arguments: str,
        env: dict[str, str] | None = None,
        module: str = "app",
        **options: Any,  # noqa: ANN401 - subprocess.run's own
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*program(module), *arguments],
            env={**os.environ, **(env or {})},
            cwd=options.pop("cwd", tmp_path),
            capture_output=True,
            text=True,
            check=False,
            timeout=110,
            **options,
        )

    return run


def program(module: str = "app") -> list[str]:
    """How a process of its own is started."""
    if module == "app":
        return [str(Path(sys.executable).with_name("lm-eval-so"))]
    return [sys.executable, "-m", f"lm_eval_so.runner.{module}"]


def rows(path: Path) -> list[dict[str, Any]]:
    """The lines of a results file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def starts(*results: Path) -> list[float]:
    """When the samples of results files were sent, in order, in seconds since the epoch.

    By the clock of who sends: a server that stands still finds late ones together.
    """
    lines = [line for path in results for line in rows(path)]
    return sorted(datetime.fromisoformat(line["started_at"]).timestamp() for line in lines)
