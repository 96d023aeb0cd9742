"""What a person reads on a real terminal of 80 and of 40 columns, in a pipe and in a file."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len

from conftest import program
from support.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WIDTHS = [80, 40]
LINE = re.compile(r"^[━╌]+ (\d+)/(\d+) (\d+)%  ")


@pytest.fixture
def slow(make_dataset: Callable[..., Path]) -> list[str]:
    """A run of some seconds, some of whose samples fail."""
    return [
        *program(),
        *("backend=simulated", "model=m", "dataset=path", "output_dir=run"),
        f"dataset.path={make_dataset(200, s1='긴 질문 ' * 40)}",
        *("backend.options.latency_ms=200", "runner.max_concurrency=2"),
    ]


def progress(lines: list[str]) -> re.Match[str] | None:
    """The line of progress, once it tells more than nothing."""
    found = LINE.match(lines[-1])
    return found if found and int(found[1]) > 20 else None


@pytest.mark.parametrize("width", WIDTHS)
def test_the_line_shows_bar_count_percentage_and_time_to_go(
    width: int, slow: list[str], tmp_path: Path
) -> None:
    with Terminal(slow, width, {}, tmp_path) as terminal:
        line = terminal.wait_for(lambda lines: progress(lines) is not None)[-1]
    done, total, percent = map(int, LINE.match(line).groups())  # type: ignore[union-attr]
    assert (total, percent) == (200, 100 * done // 200)
    assert "ETA" in line
    assert cell_len(line) <= width
    assert ("/s" in line) or width == 40


@pytest.mark.parametrize("width", WIDTHS)
def test_the_end_shows_the_first_answers_and_leaves_no_line_of_progress(
    width: int, slow: list[str], tmp_path: Path
) -> None:
    with Terminal([*slow, "backend.options.latency_ms=1"], width, {}, tmp_path) as terminal:
        assert terminal.end() == 0
        lines = terminal.screen()
    first = lines.index("first answers")
    answers = lines[first + 1 : first + 4]
    assert [line.split()[0] for line in answers] == ["s0", "s1", "s2"]
    assert answers[0] == "  s0  question 0"
    assert answers[1].startswith("  s1  긴 질문 긴")
    assert answers[1].endswith("...")
    assert all(cell_len(line) <= width for line in answers)
    assert lines[first + 4].startswith("results   run/run_results.jsonl")
    assert not [line for line in lines if LINE.match(line)]


def test_log_lines_go_above_the_line_of_progress(slow: list[str], tmp_path: Path) -> None:
    failing = [*slow, "backend.options.garbage=0.2", "runner.max_retries=0"]
    with Terminal(failing, 80, {}, tmp_path) as terminal:
        lines = terminal.wait_for(
            lambda lines: progress(lines) is not None and "failed" in lines[-1]
        )
    assert any("failed after" in line for line in lines[:-1])
    assert sum(bool(LINE.match(line)) for line in lines) == 1


def test_the_cursor_stays_for_a_shell_that_gets_the_terminal_back(
    slow: list[str], tmp_path: Path
) -> None:
    with Terminal(slow, 80, {}, tmp_path) as terminal:
        terminal.wait_for(lambda lines: progress(lines) is not None)
        assert terminal.seen.rfind("\x1b[?25h") > terminal.seen.rfind("\x1b[?25l")


def test_a_terminal_without_the_characters_gets_others(slow: list[str], tmp_path: Path) -> None:
    with Terminal(slow, 80, {"PYTHONIOENCODING": "ascii"}, tmp_path) as terminal:
        line = terminal.wait_for(lambda lines: "ETA" in lines[-1])[-1]
        assert terminal.seen.isascii()
    assert re.match(r"[#-]+ \d+/200 \d+%", line)


def test_a_terminal_that_closes_stops_the_run_and_keeps_what_is_in_flight(
    slow: list[str], tmp_path: Path
) -> None:
    with Terminal(slow, 80, {}, tmp_path) as terminal:
        terminal.wait_for(lambda lines: progress(lines) is not None)
        terminal.hang_up()
        assert terminal.process.wait(60) in {0, 129}
    assert '"state": "partial"' in (tmp_path / "run" / "run_metadata.json").read_text()


@pytest.mark.parametrize("where", ["pipe", "file"])
def test_a_pipe_and_a_file_get_no_line_of_progress(
    where: str, slow: list[str], tmp_path: Path
) -> None:
    fast = [*slow, "backend.options.latency_ms=1"]
    done = subprocess.run(fast, capture_output=True, check=True, env=dict(os.environ))
    out, err = done.stdout.decode(), done.stderr.decode()
    if where == "file":
        with (tmp_path / "out").open("w") as out_file, (tmp_path / "err").open("w") as err_file:
            subprocess.run(fast, stdout=out_file, stderr=err_file, check=True)
        out, err = (tmp_path / "out").read_text(), (tmp_path / "err").read_text()
    assert "\x1b" not in out + err
    assert "━" not in out + err
    assert "first answers" in out
    assert "200 samples" in err
