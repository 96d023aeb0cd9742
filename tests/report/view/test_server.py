"""Who may ask what, and how the server begins and ends."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from conftest import program
from support.viewer import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.viewer import Viewer

    View = Callable[..., Viewer]
    Answered = Callable[..., Path]


def test_a_run_is_listed_and_opens_by_its_link(view: View, answered: Answered) -> None:
    answered("tiny-model")
    viewer = view()
    listed = viewer.ask("/")
    assert "tiny-model" in listed.text
    (board,) = viewer.boards()
    manifest = viewer.get(f"{board}manifest.json")
    assert manifest["rows"] == 3
    assert manifest["cells"][0]["counts"] == {"ok": 3, "failed": 0, "owed": 0}
    assert f'data-base="{board}"' in viewer.ask(board).text
    revision = viewer.get(f"{board}revision")
    assert revision == manifest["revision"]
    columns = viewer.ask(f"{board}index.bin?r={revision}").body
    ids = manifest["ids"]
    assert columns[ids["offset"] : ids["offset"] + ids["bytes"]] == b'["s0","s1","s2"]'
    rows = viewer.get(f"{board}block/0?r={revision}")
    assert [row["results"][0]["text"] for row in rows] == [f"question {n}" for n in range(3)]


def test_the_page_of_the_package_is_what_a_board_loads(view: View, answered: Answered) -> None:
    answered()
    viewer = view()
    board = viewer.boards()[0]
    viewer.get(f"{board}manifest.json")  # once it has been read
    page = viewer.ask(board)
    loaded = re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text + viewer.ask("/").text)
    assert set(loaded) == {
        f"/static/{name}" for name in ("list.css", "list.js", "page.css", "page.js")
    }
    for path in loaded:
        answer = viewer.ask(path)
        assert answer.status == 200
        assert answer.body
        assert answer.headers["Content-Type"].startswith(("text/css", "text/javascript"))


def test_no_page_runs_a_script_of_its_own_or_loads_from_elsewhere(
    view: View, answered: Answered
) -> None:
    answered()
    viewer = view()
    for path in ("/", viewer.boards()[0], "/nothing"):
        answer = viewer.ask(path)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert not re.search(r"<script(?![^>]* src=)|<style| style=| on\w+=", answer.text)


@pytest.mark.parametrize("name", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_another_name_in_the_host_header_is_refused(
    view: View, answered: Answered, name: str
) -> None:
    answered("tiny-model")
    viewer = view()
    for path in ("/", viewer.boards()[0], "/static/list.js"):
        answer = viewer.ask(path, Host=name)
        assert answer.status == 421
        assert "tiny-model" not in answer.text


def test_a_name_of_this_machine_is_ours_whatever_the_port(view: View, answered: Answered) -> None:
    answered()
    viewer = view(None, "--allow-host", "proxy.example")
    for name in ("localhost:1", "127.0.0.1", "[::1]:9", "LOCALHOST", "proxy.example:443"):
        assert viewer.ask("/", Host=name).status == 200


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_only_get_is_answered(view: View, answered: Answered, method: str) -> None:
    answered()
    viewer = view()
    for path in ("/", viewer.boards()[0], "/nothing"):
        answer = viewer.ask(path, method)
        assert answer.status == 405
        assert answer.headers["Allow"] == "GET"


def test_no_path_leads_out_of_what_was_found(
    view: View, answered: Answered, tmp_path: Path
) -> None:
    answered()
    (tmp_path / "secret.txt").write_text("a secret file")
    viewer = view()
    (board,) = viewer.boards()
    viewer.get(f"{board}manifest.json")
    for path in (
        "/../secret.txt",
        "/static/../../../secret.txt",
        "/static/..%2f..%2f..%2fsecret.txt",
        "/static/%2e%2e/%2e%2e/secret.txt",
        "/static/..%5c..%5csecret.txt",
        f"/static/{tmp_path}/secret.txt",
        f"/static//{tmp_path}/secret.txt",
        "/board/../../secret.txt",
        "/board/%2e%2e%2f%2e%2e%2fsecret.txt/",
        f"{board}../../../secret.txt",
        f"{board}..%2f..%2fsecret.txt",
        f"{board}block/..%2f..%2fsecret.txt",
        f"{board}block/-1",
        f"{board}block/99",
        f"{board}run_results.jsonl",
        f"{board}run_metadata.json",
        "/board/numbers/",
        "/board/0000000000000000/",
        "/board/" + "0" * 16 + "-" + "1" * 16 + "/",
    ):
        answer = viewer.ask(path)
        assert answer.status in {400, 404}, path
        assert "a secret file" not in answer.text


def test_odd_requests_are_answered_with_a_status(view: View, answered: Answered) -> None:
    answered()
    viewer = view()
    (board,) = viewer.boards()
    viewer.get(f"{board}manifest.json")
    assert viewer.ask(f"{board}manifest.json?r={'9' * 5000}").status == 200
    assert viewer.ask(f"{board}index.bin?r=1").status == 409
    assert viewer.ask(f"{board}block/0?r=1").status == 409
    assert viewer.ask("/board?run=%ff&run=..").status == 404
    assert viewer.ask("/board").headers["Location"] == "/"
    assert viewer.ask(board.rstrip("/")).headers["Location"] == board


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_ends_it_with_its_exit_code_and_no_traceback(
    view: View, answered: Answered, number: signal.Signals, code: int
) -> None:
    answered()
    viewer = view()
    with socket.create_connection(viewer.address.split(":")) as kept:  # as a browser does
        kept.sendall(f"GET / HTTP/1.1\r\nHost: {viewer.address}\r\n\r\n".encode())
        assert kept.recv(20).startswith(b"HTTP/1.1 200")
        assert viewer.end(number) == code


def test_a_port_in_use_is_one_sentence(view: View, answered: Answered, tmp_path: Path) -> None:
    answered()
    port = view().address.rpartition(":")[2]
    command = [*program(), "view", str(tmp_path / "outputs"), "--port", port]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 2
    assert second.stderr == (
        f"error: port {port} of 127.0.0.1 is in use, perhaps by another lm-eval-so view; choose "
        "another with --port, or --port 0 for any that is free\n"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere does not exist"),
        (["file"], "file is no folder"),
        (["x" * 300], "cannot be read: File name too long"),
        (["--port", "70000"], "a number from 0 to 65535, got '70000'"),
        (["--host", "nothing.invalid"], "cannot listen at --host nothing.invalid"),
    ],
)
def test_what_cannot_be_served_is_told(arguments: list[str], said: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "outputs").mkdir()
    command = [*program(), "view", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_only_this_machine_is_listened_to_unless_told(view: View, answered: Answered) -> None:
    answered()
    viewer = view()
    assert viewer.address.startswith("127.0.0.1:")
    wide = view(None, "--host", "0.0.0.0")  # noqa: S104 - what is tested
    port = wide.address.rpartition(":")[2]
    wide.address = f"127.0.0.1:{port}"
    assert wide.ask("/", Host=f"192.0.2.7:{port}").status == 200
    assert wide.ask("/", Host="evil.example").status == 421
    assert wide.end(signal.SIGTERM) == 143


def test_nothing_in_the_folder_is_changed(view: View, answered: Answered, tmp_path: Path) -> None:
    answered(count=2_500)
    outputs = tmp_path / "outputs"
    before = {path: path.stat().st_mtime_ns for path in sorted(outputs.rglob("*"))}
    viewer = view()
    viewer.get(f"{viewer.boards()[0]}manifest.json")

    def files() -> list[Path]:
        return [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]

    kept = until(files, lambda found: [path.suffix for path in found] == [".index"])
    assert {path: path.stat().st_mtime_ns for path in sorted(outputs.rglob("*"))} == before
    assert [path.stat().st_mode & 0o077 for path in kept] == [0]
