"""What a command that sends nothing must not load."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = {
    "anthropic",
    "aiohttp",
    "asyncio",
    "alembic",
    "httpx2",
    "jinja2",
    "jmespath",
    "mlflow",
    "openai",
    "pydantic",
    "rich",
    "sqlalchemy",
    "tenacity",
    "xllamacpp",
}
LOADED = """
import sys
from lm_eval_so.runner.{module} import main
code = main(sys.argv[1:])
print("loaded:", *{{name.partition(".")[0] for name in sys.modules}})
sys.exit(code)
"""


def loaded(module: str, *arguments: str) -> set[str]:
    """Top-level modules that the command has imported when it ends."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(module=module), *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(done.stdout.rpartition("loaded:")[2].split())


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("hydra_app.app", ["--help"]),
        ("hydra_app.app", ["--cfg", "job"]),
        ("hydra_app.app", ["--cfg", "job", "backend=openai", "model=m", "params.top_p=0.9"]),
        ("hydra_app.app", ["--cfg", "job", "backend=command", "backend.options.command=[bot]"]),
        ("hydra_app.app", ["--cfg", "job", "backend=python", "backend.options.callable=b.py:a"]),
        ("hydra_app.app", ["--cfg", "job", "backend=dify"]),
        ("hydra_app.app", ["--cfg", "job", "backend=anthropic", "model=m"]),
        ("hydra_app.app", ["--info", "defaults"]),
        ("hydra_app.app", ["--version"]),
        ("cli", ["--help"]),
        ("cli", ["--version"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_what_sends_nothing_loads_nothing_heavy(module: str, arguments: list[str]) -> None:
    assert loaded(module, *arguments) & HEAVY == set()


def test_a_run_without_a_network_loads_no_client() -> None:
    found = loaded("hydra_app.app", "backend=simulated", "runner.progress=none")
    assert "pydantic" in found
    heavy = {"openai", "httpx2", "aiohttp", "jinja2", "jmespath", "mlflow", "xllamacpp"}
    assert found & heavy == set()


def test_a_python_function_needs_no_client(tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text("def answer(messages): return 'Here.'")
    arguments = ("backend=python", f"backend.options.callable={tmp_path}/bot.py:answer")
    found = loaded("hydra_app.app", *arguments, "runner.progress=none")
    assert found & {"openai", "httpx2", "aiohttp", "jmespath"} == set()


def test_a_tracked_run_leaves_mlflow_to_the_process_beside_it() -> None:
    found = loaded("hydra_app.app", "backend=simulated", "runner.progress=none", "tracking=mlflow")
    assert found & {"mlflow", "sqlalchemy", "alembic"} == set()


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import lm_eval_so, sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert set(done.stdout.split()) & {*HEAVY, "hydra", "omegaconf"} == set()
