from __future__ import annotations

import asyncio
import subprocess
import sys
from importlib import invalidate_caches
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.runner.backends.base import ChatBackend
from lm_eval_so.runner.backends.registry import create_backend, known_kinds
from lm_eval_so.runner.backends.simulated import SimulatedBackend
from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.models import RunConfig, TestSample
from support.requests import request_of

if TYPE_CHECKING:
    from pathlib import Path

PLUGIN = '''
from lm_eval_so import ChatBackend, ChatResponse, RunRequest


class Shouting(ChatBackend):
    """Answers in capitals."""

    async def send(self, request: RunRequest) -> ChatResponse:
        text = str(request.messages[-1]["content"]).upper()
        return ChatResponse(text=text + self.options.get("mark", ""))


class NoBackend:
    pass


def make(config):
    return None
'''
ENTRY_POINTS = """[lm_eval_so.backends]
shouting = {module}:Shouting
nobackend = {module}:NoBackend
function = {module}:make
openai = {module}:Shouting
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An installed package with backends of its own; returns the name of its module."""
    module = f"plugin_{tmp_path.name.replace('-', '_')}"
    site = tmp_path / "site"
    info = site / f"{module}-1.0.dist-info"
    info.mkdir(parents=True)
    (site / f"{module}.py").write_text(PLUGIN)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS.format(module=module))
    monkeypatch.syspath_prepend(str(site))
    invalidate_caches()
    return module


def config(kind: str, **options: object) -> RunConfig:
    return RunConfig(backend=kind, model="m", backend_options=options)


@pytest.mark.usefixtures("plugin")
def test_a_backend_of_an_installed_package_is_found_by_its_entry_point() -> None:
    backend = create_backend(config("shouting", mark="!"))
    assert isinstance(backend, ChatBackend)
    sample = TestSample(id="s", messages=[{"role": "user", "content": "hello"}])
    answer = backend.send(request_of(sample, 0, backend.config, "key", "trace"))
    assert asyncio.run(answer).text == "HELLO!"  # type: ignore[arg-type]


@pytest.mark.usefixtures("plugin")
def test_installed_kinds_are_known_beside_ours() -> None:
    kinds = known_kinds()
    assert kinds == sorted(set(kinds))
    assert {"shouting", "nobackend", "local", "openai", "simulated"} <= set(kinds)


def test_an_installed_package_does_not_take_the_place_of_a_built_in(
    plugin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    assert type(create_backend(config("openai"))).__module__ != plugin


@pytest.mark.parametrize(
    ("kind", "hint"),
    [
        ("opnai", "; did you mean 'openai'?"),
        ("simulate", "; did you mean 'simulated'?"),
        ("zzz", ""),
    ],
)
def test_an_unknown_kind_is_one_sentence_with_the_known_ones(kind: str, hint: str) -> None:
    with pytest.raises(ConfigError) as refused:
        create_backend(config(kind))
    known = ", ".join(known_kinds())
    assert str(refused.value) == f"unknown backend {kind!r}{hint} (known: {known})"


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize("kind", ["nobackend", "function"])
def test_what_is_no_backend_is_refused_in_one_sentence(kind: str) -> None:
    with pytest.raises(ConfigError) as refused:
        create_backend(config(kind))
    sentence = str(refused.value)
    assert sentence.startswith(f"backend {kind!r} is <")
    assert sentence.endswith("which is no subclass of ChatBackend")


def test_a_built_in_kind_is_made_of_its_options() -> None:
    backend = create_backend(config("simulated", seed=7))
    assert isinstance(backend, SimulatedBackend)
    assert backend.options.seed == 7


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"sede": 1}, "unknown key 'backend.options.sede'; did you mean 'backend.options.seed'?"),
        ({"hang": 2}, "backend.options.hang must be at most 1, got 2"),
        ({"latency_ms": -1}, "backend.options.latency_ms must be at least 0, got -1"),
        (
            {"answer": "poem"},
            "backend.options.answer must be 'echo', 'fixed' or 'file', got 'poem'",
        ),
    ],
    ids=["unknown", "too-high", "too-low", "no-choice"],
)
def test_a_wrong_option_is_named_with_its_bound(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError) as refused:
        create_backend(config("simulated", **options))
    assert str(refused.value) == sentence


def test_one_backend_does_not_load_what_another_needs() -> None:
    script = (
        "import sys; from lm_eval_so.runner.backends.registry import create_backend, known_kinds;"
        "from lm_eval_so.runner.models import RunConfig;"
        "create_backend(RunConfig(backend='simulated', model='m')); known_kinds();"
        "print(sorted({'openai', 'httpx2', 'xllamacpp'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=100
    )
    assert done.stdout == "[]\n"
