"""The list of what a folder holds, whatever is damaged, foreign or hostile in it."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.report.view.counts import LineCounter
from lm_eval_so.report.view.folder import Folder
from lm_eval_so.report.view.listing import listing
from lm_eval_so.report.view.walk import walk
from lm_eval_so.report.view.words import words_for
from support.fake_openai import FakeOpenAI, Reply
from support.viewer import until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from support.viewer import Viewer

    View = Callable[..., Viewer]
    Answered = Callable[..., Path]
    Command = Callable[..., subprocess.CompletedProcess[str]]

KEY = "sk-very/secret+key=0123456789"


def edit(directory: Path, **changed: object) -> None:
    """Changes ``run_metadata.json``."""
    path = directory / "run_metadata.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))


def sweep_of(make_dataset: Callable[..., Path], command: Command, tmp_path: Path) -> Path:
    dataset = make_dataset(3)
    ended = command(
        *("-m", "backend=simulated", "model=a,b", "backend.options.latency_ms=0"),
        *("dataset=path", f"dataset.path={dataset}", "runner.progress=none"),
    )
    assert ended.returncode == 0, ended.stderr
    (record,) = (tmp_path / "outputs").rglob("sweep.json")
    return record.parent


def test_a_sweep_comes_first_and_has_all_its_cells(
    view: View, make_dataset: Callable[..., Path], command: Command, tmp_path: Path
) -> None:
    sweep = sweep_of(make_dataset, command, tmp_path)
    viewer = view()
    boards = viewer.boards()
    assert len(boards) == 3
    manifest = viewer.get(f"{boards[0]}manifest.json")
    assert [cell["name"] for cell in manifest["cells"]] == ["model=a", "model=b"]
    of_sweep = view(sweep)
    assert of_sweep.page != "/"
    assert of_sweep.get(f"{of_sweep.page}manifest.json")["rows"] == 3


def test_a_sweep_that_was_moved_with_its_runs_finds_them(
    view: View, make_dataset: Callable[..., Path], command: Command, tmp_path: Path
) -> None:
    sweep_of(make_dataset, command, tmp_path)
    shutil.move(tmp_path / "outputs", tmp_path / "elsewhere")
    viewer = view(tmp_path / "elsewhere")
    assert len(viewer.get(f"{viewer.boards()[0]}manifest.json")["cells"]) == 2


def test_the_newest_run_comes_first_and_a_run_directory_is_opened_by_itself(
    view: View, answered: Answered
) -> None:
    first = answered("first")
    answered("second")
    viewer = view()
    names = [viewer.get(f"{board}manifest.json")["cells"][0]["name"] for board in viewer.boards()]
    assert names == ["simulated_second", "simulated_first"]
    alone = view(first)
    assert alone.get(f"{alone.page}manifest.json")["cells"][0]["name"] == "simulated_first"


def test_runs_that_are_picked_stand_side_by_side_if_they_are_of_one_dataset(
    view: View, answered: Answered
) -> None:
    for model in ("a", "b"):
        answered(model)
    answered("c", dataset="others")
    viewer = view()
    c, b, a = (board.split("/")[2] for board in viewer.boards())
    leads = viewer.ask(f"/board?run={a}&run={b}")
    assert leads.status == 302
    cells = viewer.get(f"{leads.headers['Location']}manifest.json")["cells"]
    assert [cell["name"] for cell in cells] == ["model=a", "model=b"]
    mixed = viewer.ask(f"/board/{a}-{c}/")
    assert mixed.status == 400
    assert "these runs are of different datasets (numbers, others)" in mixed.text
    assert viewer.ask(f"/board/{a}-{c}/manifest.json").status == 400


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "run_metadata.json cannot be read"),
        ("[]", "not a JSON object"),
        ('{"schema_version": 99}', "update lm-eval-so"),
        ("{}", "Field required"),
    ],
)
def test_a_damaged_run_is_told_and_the_others_are_shown(
    view: View, answered: Answered, content: str, said: str
) -> None:
    damaged = answered("damaged")
    answered("whole")
    viewer = view()
    assert len(viewer.boards()) == 2
    (damaged / "run_metadata.json").write_text(content)
    fresh = view()
    (whole,) = fresh.boards()
    assert said in fresh.ask("/").text
    assert fresh.get(f"{whole}manifest.json")["rows"] == 3


def test_damaged_lines_and_a_damaged_sweep_spoil_nothing_else(
    view: View, answered: Answered, tmp_path: Path
) -> None:
    directory = answered()
    with (directory / "run_results.jsonl").open("ab") as file:
        file.write(b'{"sample_id": \xff}\n\0\0\0\n[1]\n{"sam')
    sweep = tmp_path / "outputs" / "numbers" / "sweeps" / "mine"
    sweep.mkdir(parents=True)
    (sweep / "sweep.json").write_text('{"cells": 3}')
    viewer = view()
    manifest = viewer.get(f"{viewer.boards()[0]}manifest.json")
    assert (manifest["rows"], manifest["damaged"]) == (3, 3)
    assert "sweep.json is damaged" in viewer.ask("/").text


def test_names_are_text_in_the_list(view: View, answered: Answered) -> None:
    hostile = "<script>alert(1)</script>\"'&\u202e"
    directory = answered()
    config = json.loads((directory / "run_metadata.json").read_text())["run_config"]
    edit(directory, run_config={**config, "model": hostile}, variant="<img src=x onerror=y>")
    named = directory.with_name("<b>" + os.fsdecode(b"\xff"))
    directory.rename(named)
    text = view().ask("/").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&amp;\\u202e" in text
    assert "&lt;b&gt;\\udcff" in text
    for tag in ("<script>", "<img", "<b>"):
        assert tag not in text


def test_links_that_lead_out_are_not_followed(
    view: View, answered: Answered, tmp_path: Path
) -> None:
    inside = answered("inside")
    outside = tmp_path / "outside"
    shutil.copytree(inside, outside)
    edit(outside, variant="from-outside")
    (inside.parent / "link").symlink_to(outside)
    (inside.parent / "again").symlink_to(inside)
    results = answered("results") / "run_results.jsonl"
    results.unlink()
    results.symlink_to(outside / "run_results.jsonl")
    metadata = answered("metadata") / "run_metadata.json"
    metadata.unlink()
    metadata.symlink_to(outside / "run_metadata.json")
    viewer = view()
    text = viewer.ask("/").text
    assert "from-outside" not in text
    assert "3 links that lead out of this folder are not followed" in text
    of_results, of_inside = viewer.boards()
    assert viewer.get(f"{of_inside}manifest.json")["rows"] == 3
    link = f"{of_results}manifest.json"
    refused = until(lambda: viewer.ask(link), lambda answer: answer.status != 503)
    assert refused.status == 409
    assert "is a link that leads out of the folder" in refused.json["error"]


def test_a_folder_that_is_a_link_is_shown(view: View, answered: Answered, tmp_path: Path) -> None:
    answered()
    (tmp_path / "link").symlink_to(tmp_path / "outputs")
    assert len(view(tmp_path / "link").boards()) == 1


def test_a_key_is_in_nothing_that_is_served(
    view: View, make_dataset: Callable[..., Path], command: Command
) -> None:
    dataset = make_dataset(2)
    said = Reply(text=f"the key is {KEY}", headers={"x-request-id": KEY})
    with FakeOpenAI(lambda _received, _nth: said) as server:
        ended = command(
            *("backend=openai", "model=gpt-4o", f"backend.options.base_url={server.base_url}"),
            *("dataset=path", f"dataset.path={dataset}"),
            env={"OPENAI_API_KEY": KEY},
        )
        assert ended.returncode == 0, ended.stderr
        assert server.requests[0].headers["Authorization"] == f"Bearer {KEY}"
    viewer = view()
    (board,) = viewer.boards()
    viewer.get(f"{board}manifest.json")
    names = ("manifest.json", "index.bin", "revision", "block/0")
    served = [viewer.ask(path) for path in ("/", board, *(f"{board}{name}" for name in names))]
    assert all(answer.status == 200 for answer in served)
    for answer in served:
        assert KEY.encode() not in answer.body
        assert KEY not in str(answer.headers)


def test_counts_of_a_run_without_a_summary_are_those_of_its_lines(answered: Answered) -> None:
    directory = answered(count=3)
    results = directory / "run_results.jsonl"
    lines = results.read_text().splitlines()
    failed = json.loads(lines[0]) | {"status": "error"}
    results.write_text("\n".join([json.dumps(failed), lines[1], "{", lines[2], ""]))
    counter = LineCounter(directory)
    assert counter.look(5, may_read=False)[:] == (0, 0, 5, False)
    assert counter.look(5, may_read=True)[:] == (2, 1, 2, True)
    with results.open("a") as file:
        file.write(lines[0] + "\n" + lines[1][:9])
    assert counter.look(5, may_read=True)[:] == (3, 0, 2, True)
    results.write_text(lines[2] + "\n")
    assert counter.look(5, may_read=True)[:] == (1, 0, 4, True)


def test_what_is_in_a_run_directory_of_another_tool_is_passed_over(
    answered: Answered, tmp_path: Path
) -> None:
    directory = answered()
    for hidden in (directory / "artifacts", directory / ".git"):
        shutil.copytree(directory, tmp_path / "copy")
        shutil.move(tmp_path / "copy", hidden)
    assert walk(tmp_path / "outputs").runs == [directory]
    (directory / "run_metadata.json").unlink()
    assert not Folder(tmp_path / "outputs").look().runs


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("ko-KR,ko;q=0.9,en;q=0.8", "ko"),
        ("de,en;q=0.5", "en"),
        ("fr", "en"),
        ("", "en"),
        ("en-US,ko", "en"),
    ],
)
def test_the_list_speaks_the_first_language_that_it_knows(accepted: str, language: str) -> None:
    assert words_for(accepted)["language"] == language
    assert words_for(accepted).keys() == words_for("en").keys()


def test_help_names_what_can_be_given(command: Command) -> None:
    shown = command("view", "--help").stdout
    for word in ("DIR", "--port", "--host", "--allow-host", "--open"):
        assert word in shown


def test_a_time_at_the_end_of_the_calendar_is_shown_as_it_is(answered: Answered) -> None:
    directory = answered()
    edit(directory, started_at="9999-12-31T23:59:59-14:00")
    folder = Folder(directory)
    found = folder.look()
    (shown,) = listing(found, folder.counts_of(found)).runs
    assert shown.started == "9999-12-31 23:59"
