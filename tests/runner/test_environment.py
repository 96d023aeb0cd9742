"""The environment, through the command line: exit code 2 and one sentence, or it works."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.certificates import make
from support.fake_openai import FakeOpenAI
from support.fake_proxy import FakeProxy

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Command = Callable[..., subprocess.CompletedProcess[str]]

SECRET = "hunter2-hunter2"  # noqa: S105 - of nobody
HTTPS = {"OPENAI_BASE_URL": "https://127.0.0.1:9/v1"}


@pytest.fixture
def run(
    command: Command,
    make_dataset: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Command:
    """Runs 50 samples, with no more of an environment than it is given."""
    for name in ("http", "https", "all", "no"):
        for variable in (f"{name}_proxy", f"{name}_proxy".upper()):
            monkeypatch.delenv(variable, raising=False)
    for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(variable, raising=False)
    target = ["backend=openai", "model=m", "dataset=path", f"dataset.path={make_dataset(50)}"]
    target += ["runner.breaker.wait=600"]  # longer than a command may take here

    def start(env: dict[str, str], *more: str) -> subprocess.CompletedProcess[str]:
        return command(*target, "output_dir=out", *more, env=env)

    return start


def sentence(ended: subprocess.CompletedProcess[str]) -> str:
    """The one line that says why nothing was done."""
    assert ended.returncode == 2, ended.stderr
    assert "Traceback" not in ended.stderr
    assert SECRET not in ended.stderr + ended.stdout
    (line,) = [line for line in ended.stderr.splitlines() if "error: " in line or " ERROR " in line]
    return line


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"OPENAI_BASE_URL": "127.0.0.1:8000/v1"}, "OPENAI_BASE_URL"),
        ({"OPENAI_ORG_ID": f"{SECRET}\nx"}, "OPENAI_ORG_ID"),
        ({"HTTP_PROXY": f"socks5://u:{SECRET}@p:1"}, "HTTP_PROXY"),
        ({**HTTPS, "SSL_CERT_FILE": "/no/such.pem"}, "SSL_CERT_FILE"),
        ({**HTTPS, "REQUESTS_CA_BUNDLE": "/no/such.pem"}, "REQUESTS_CA_BUNDLE"),
        ({"OPENAI_CUSTOM_HEADERS": f"X-A: {SECRET}팀"}, "OPENAI_CUSTOM_HEADERS"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_variable_that_cannot_be_used_ends_the_command_before_it_sends(
    variables: dict[str, str], named: str, run: Command, server: FakeOpenAI, tmp_path: Path
) -> None:
    ended = run({**server.env, **variables})
    assert f"the variable {named} " in sentence(ended)
    assert server.requests == []
    assert not (tmp_path / "out").exists()


def test_variables_that_no_request_needs_do_not_matter(run: Command, server: FakeOpenAI) -> None:
    foreign = {
        "ALL_PROXY": "socks://127.0.0.1:9/",
        "NO_PROXY": "127.0.0.1",
        "SSL_CERT_FILE": "/no/such.pem",
        "SSL_CERT_DIR": "/no/such/folder",
        "REQUESTS_CA_BUNDLE": "/no/such.pem",
        "NETRC": "/no/such/netrc",
    }
    assert run({**server.env, **foreign}).returncode == 0
    assert len(server.requests) == 50


def test_a_proxy_that_is_away_is_told_at_once(run: Command, server: FakeOpenAI) -> None:
    ended = run({**server.env, "HTTP_PROXY": f"u:{SECRET}@127.0.0.1:9"})
    assert "the proxy http://127.0.0.1:9 (named by the variable HTTP_PROXY)" in sentence(ended)
    assert server.requests == []


def test_a_proxy_that_opens_no_way_is_told_at_once(run: Command, server: FakeOpenAI) -> None:
    with FakeProxy("502 Bad Gateway") as proxy:
        ended = run({**server.env, **HTTPS, "ALL_PROXY": proxy.url})
    assert "the variable ALL_PROXY" in sentence(ended)


def test_a_fault_of_tls_is_told_at_once(run: Command, tmp_path: Path) -> None:
    with FakeOpenAI(tls=make(tmp_path / "tls").server) as server:
        untrusted = run(server.env)
        address = {"OPENAI_BASE_URL": server.base_url.replace("https:", "http:")}
        plain = run({**server.env, **address}, "output_dir=other")
    assert "in the variable SSL_CERT_FILE" in sentence(untrusted)
    assert "must start with https://" in sentence(plain)
    assert server.requests == []


def test_a_key_in_a_query_is_sent_and_written_nowhere(
    run: Command, server: FakeOpenAI, tmp_path: Path
) -> None:
    query = f"?api-version=1&code={SECRET}"
    ended = run(
        {**server.env, "OPENAI_BASE_URL": ""},
        f"backend.options.base_url='{server.base_url}{query}'",
    )
    assert ended.returncode == 0
    assert server.requests[0].path.endswith(query)
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert SECRET.encode() not in written
    assert b"api-version=1" in written
    assert SECRET not in ended.stdout + ended.stderr
