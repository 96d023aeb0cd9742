"""A key is found in no file and on no terminal, whichever way it was given and however it ends."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from support.fake_openai import FakeOpenAI, Received, Reply

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Command = Callable[..., subprocess.CompletedProcess[str]]

KEY = "sk-very/secret+key=0123456789"
HEADER = "Bearer tok-0123456789-abcdef"
WAYS = {
    "environment": ("app", [], {"OPENAI_API_KEY": KEY}),
    "named-variable": ("app", ["backend.options.api_key_env=MINE"], {"MINE": KEY}),
    "override": ("app", [f"backend.options.api_key='{KEY}'"], {}),
    "override-in-a-sweep": ("app", ["-m", f"backend.options.api_key='{KEY}'", "model=m,n"], {}),
    "dictionary": ("app", [f"backend.options={{api_key: '{KEY}'}}"], {}),
    "flag": ("cli", ["--backend-opt", f"api_key={KEY}"], {}),
}


def everything_written(root: Path) -> bytes:
    return b"\n".join(path.read_bytes() for path in root.rglob("*") if path.is_file())


def told_back(received: Received, _: int) -> Reply:
    """A server that repeats the key in its errors and in its answers."""
    shown = received.headers["Authorization"]
    if received.question.endswith("1"):
        return Reply(status=401, text=f"Incorrect API key provided: {shown}")
    return Reply(text=f"you sent {shown}")


@pytest.fixture
def run(command: Command, make_dataset: Callable[..., Path]) -> Command:
    """Runs three samples with a way to give the key, in a place of its own."""

    def start(
        way: str, server: FakeOpenAI, *more: str, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        module, given, variables = WAYS[way]
        dataset = str(make_dataset(3))
        if module == "app":
            target = ["dataset=path", f"dataset.path={dataset}", "output_root=out"]
            arguments = ["backend=openai", *target, *(["model=m"] if "-m" not in given else [])]
        else:
            arguments = ["--backend", "openai", "--model", "m", "--dataset", dataset]
            arguments += ["--output-dir", "out/run", "--log-level", "debug"]
        return command(
            *arguments,
            *given,
            *more,
            module=module,
            env={"OPENAI_BASE_URL": server.base_url, **variables, **(env or {})},
        )

    return start


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("traceback", ["0", "1"], ids=["plain", "full-error"])
def test_no_file_and_no_terminal_shows_the_key(
    run: Command, tmp_path: Path, way: str, traceback: str
) -> None:
    with FakeOpenAI(told_back) as server:
        done = run(way, server, env={"HYDRA_FULL_ERROR": traceback})
    assert {received.headers["Authorization"] for received in server.requests} == {f"Bearer {KEY}"}
    assert done.returncode in (1, 2), done.stderr
    assert list(tmp_path.rglob("run_metadata.json")), "the run has left its files"
    assert KEY.encode() not in everything_written(tmp_path)
    assert KEY not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "wrong",
    [
        "runner.timeout=-1",
        "runnr.timeout=3",
        "backend.options.api_kee=x",
        "params.a=${nothing:}",
        "model=a=b=c",
    ],
)
@pytest.mark.parametrize("way", ["override", "dictionary"])
def test_an_error_in_the_config_does_not_show_the_key(
    run: Command, tmp_path: Path, way: str, wrong: str
) -> None:
    with FakeOpenAI() as server:
        for full in "01":
            done = run(way, server, wrong, env={"HYDRA_FULL_ERROR": full})
            assert done.returncode != 0
            assert KEY not in done.stdout + done.stderr
    assert server.requests == []
    assert KEY.encode() not in everything_written(tmp_path)


def test_secret_headers_and_passwords_in_an_address_are_not_written(
    command: Command, make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    with FakeOpenAI(lambda _received, _nth: Reply(status=400, text=f"bad {HEADER}")) as server:
        address = server.base_url.replace("http://", "http://me:pass-word-99@")
        done = command(
            "--backend=openai",
            "--model=m",
            f"--dataset={make_dataset(2)}",
            "--output-dir=run",
            f'--backend-opt=default_headers={{"X-Authorization": "{HEADER}", "X-Team": "qa"}}',
            f"--backend-opt=base_url={address}",
            module="cli",
            env={"OPENAI_API_KEY": KEY},
        )
    assert done.returncode == 1, done.stderr
    sent = {name.lower(): value for name, value in server.requests[0].headers.items()}
    assert sent["x-authorization"] == HEADER
    written = everything_written(tmp_path) + (done.stdout + done.stderr).encode()
    for secret in (HEADER, HEADER.split()[1], "pass-word-99", KEY):
        assert secret.encode() not in written
    assert b'"X-Team":"qa"' in written, "what is no secret is kept"


def test_a_dead_server_does_not_bring_the_key_to_light(run: Command, tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        pass
    done = run("override", server, "runner.breaker.wait=0.2", env={"HYDRA_FULL_ERROR": "1"})
    assert done.returncode == 2
    assert KEY not in done.stdout + done.stderr
    assert KEY.encode() not in everything_written(tmp_path)


def test_the_environment_that_carried_the_key_is_not_listed_anywhere(
    run: Command, tmp_path: Path
) -> None:
    with FakeOpenAI() as server:
        done = run("override", server, "--cfg", "all")
    assert done.returncode == 0
    assert KEY not in done.stdout + done.stderr
    assert os.environ.get("OPENAI_API_KEY") is None
    assert KEY.encode() not in everything_written(tmp_path)
