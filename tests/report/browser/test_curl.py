"""Copy as curl: in a shell, it sends what the run has sent."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from support.fake_openai import FakeOpenAI
from support.report_runs import carried_out, write_dataset

if TYPE_CHECKING:
    from pathlib import Path

    from support.browser import Tab
    from support.fake_openai import Received

KEY = "sk-typed-in-the-shell"
ASKED = (
    "It's $HOME `id` \"quoted\" \\ back\\\\slash\nnew line\t!history 'a'b'"
    " 환불 👩‍👩‍👧 %s $(id) 'end'"
)


@pytest.fixture(params=["address in the config", "address in the environment"])
def asked(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Received, Path]:
    """A run of one question: its request, and the page about it."""
    messages = [{"role": "system", "content": "'"}, {"role": "user", "content": ASKED}]
    dataset = write_dataset(tmp_path / "one", [{"id": "one", "messages": messages}], "One")
    with FakeOpenAI() as server:
        told = request.param == "address in the config"
        address = [f"backend.options.base_url={server.base_url}"] if told else []
        carried_out(
            tmp_path,
            *("backend=openai", "model=gpt-4o", f"dataset.path={dataset}", *address),
            *("params.temperature=0.5", "params.stop=['\\n\\n',END]", "output_dir=run"),
            *("prompt.system='Don''t stop.'", "+params.metadata={a: {b: [1, null, x]}}"),
            env=server.env,
        )
        (received,) = server.requests
    carried_out(tmp_path, "report", "run", "-o", "report.html")
    return received, tmp_path / "report.html"


def test_it_sends_the_same_body_to_the_same_address_with_the_key_of_the_shell(
    tab: Tab, asked: tuple[Received, Path]
) -> None:
    sent, page_file = asked
    tab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = tab.open(page_file, "#sample=one")
    drawer = page.get_by_role("dialog")
    drawer.get_by_text("Request and timing").click()
    drawer.get_by_role("button", name="Copy as curl").click()
    drawer.get_by_role("button", name="Copied").wait_for()
    command = page.evaluate("navigator.clipboard.readText()")
    assert KEY not in command
    (again,) = in_a_shell(command)
    assert again.body == sent.body
    assert again.path == sent.path
    assert again.headers["Authorization"] == f"Bearer {KEY}"


def in_a_shell(command: str) -> list[Received]:
    """What arrives when bash carries out the command; whatever host it names is our server."""
    with FakeOpenAI() as server:
        host = urlsplit(command.split("'")[1])
        assert host.hostname == "127.0.0.1", command
        script = f'curl() {{ command curl --connect-to "::127.0.0.1:{server.port}" "$@"; }}\n'
        done = subprocess.run(
            ["bash", "-euc", f"{script}{command}"],
            env={"PATH": "/usr/bin:/bin", "HOME": "/nowhere", "OPENAI_API_KEY": KEY},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["object"] == "chat.completion"
        return server.requests
