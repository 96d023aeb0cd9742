"""What is printed never decides what is run, or how it ended."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from typing import TYPE_CHECKING, TextIO, cast

import pytest

from conftest import program, rows
from lm_eval_so.runner.host.output import LastingStream, lasting, lasting_output, show, tell
from lm_eval_so.runner.hydra_app.app import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STREAMS = {
    "gone-stdout": "{} | true",
    "gone-stderr": "{} 2> >(true)",
    "both-gone": "{} 2>&1 | true",
    "full-stdout": "{} >/dev/full",
    "full-stderr": "{} 2>/dev/full",
    "closed-stdout": "{} >&-",
    "closed-stderr": "{} 2>&-",
    "all-closed": "{} <&- >&- 2>&-",
    "ascii": "PYTHONIOENCODING=ascii {}",
    "cp1252": "PYTHONIOENCODING=cp1252 {}",
    "posix-locale": "LC_ALL=POSIX PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 {}",
}


def shell(streams: str, *arguments: str, module: str = "app") -> int:
    """The exit code of the command, and not of what reads it."""
    words = " ".join(f"'{word}'" for word in [*program(module), *arguments])
    line = STREAMS[streams].format(words) + '; exit "${PIPESTATUS[0]}"'
    return subprocess.run(
        ["bash", "-c", line], check=False, timeout=110, capture_output=True
    ).returncode


@pytest.fixture
def korean(make_dataset: Callable[..., Path]) -> list[str]:
    """A command whose output holds what few encodings have."""
    folder = make_dataset(3, s1="한국어 \U0001f600 ·")
    return [
        *("backend=simulated", "backend.options.latency_ms=1", "dataset=path"),
        f"dataset.path={folder}",
    ]


@pytest.mark.parametrize("streams", STREAMS)
def test_a_run_ends_as_it_would(streams: str, korean: list[str], tmp_path: Path) -> None:
    assert shell(streams, *korean, "model=m", "output_dir=run") == 0
    assert len(rows(tmp_path / "run" / "run_results.jsonl")) == 3


@pytest.mark.parametrize("streams", ["gone-stdout", "full-stdout", "all-closed", "ascii"])
@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_a_sweep_runs_all_its_cells(
    streams: str, launcher: str, korean: list[str], tmp_path: Path
) -> None:
    together = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"] if launcher == "joblib" else []
    assert shell(streams, *korean, *together, "-m", "model=a,b,c") == 0
    assert len(list((tmp_path / "outputs" / "numbers").glob("simulated_*"))) == 3


@pytest.mark.parametrize(
    "streams", ["gone-stdout", "full-stdout", "closed-stdout", "closed-stderr"]
)
@pytest.mark.parametrize(
    ("module", "question"),
    [("app", "--help"), ("app", "--cfg job"), ("app", "--version"), ("cli", "--help")],
)
def test_a_question_is_no_failure(streams: str, module: str, question: str) -> None:
    assert shell(streams, *question.split(), module=module) == 0


@pytest.mark.parametrize("streams", ["gone-stderr", "full-stderr", "closed-stderr", "all-closed"])
def test_what_is_wrong_stays_an_error(streams: str) -> None:
    assert shell(streams, "model=m", "nonsense=1") == 2


def test_a_failed_sample_is_one_whoever_reads_it(korean: list[str]) -> None:
    failing = [*korean, "model=m", "backend.options.garbage=0.7", "runner.max_retries=0"]
    assert shell("both-gone", *failing) == shell("ascii", *failing) == 1


def test_no_results_file_takes_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    """A child that writes to its stderr would else write into the results."""
    script = (
        "import os, sys; from lm_eval_so.runner.host.output import keep_output; keep_output(); "
    )
    script += "f = open('file', 'w'); os.system('echo into the file; echo into the file >&2'); "
    script += "sys.exit(f.fileno() < 3)"
    line = f'"{sys.executable}" -c "{script}" <&- >&- 2>&-'
    assert subprocess.run(["bash", "-c", line], check=False).returncode == 0
    assert (tmp_path / "file").read_text() == ""


class Broken(io.StringIO):
    """A stream that takes nothing."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def write(self, _: str) -> int:
        raise self.error

    def flush(self) -> None:
        raise self.error


@pytest.mark.parametrize(
    "error",
    [BrokenPipeError(), OSError(28, "No space left"), OSError(5, "gone"), BlockingIOError()],
    ids=["pipe", "full", "terminal", "not-now"],
)
def test_a_caller_in_this_process_is_treated_alike(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Broken(error)
    monkeypatch.setattr(sys, "stdout", broken)
    monkeypatch.setattr(sys, "stderr", broken)
    assert main(["--version"]) == 0
    assert main(["nonsense=1"]) == 2
    show("a line")
    tell("a line")
    assert sys.stdout is broken, "the caller has its own stream back"


def test_a_closed_stream_takes_everything_and_is_no_terminal() -> None:
    stream = io.TextIOWrapper(io.BytesIO())
    stream.close()
    lasts = lasting(stream)
    assert lasts.write("text") == 4
    lasts.flush()
    assert not lasts.isatty()


def test_a_stream_that_was_never_there_is_silent() -> None:
    lasts = lasting(None)
    assert lasts.write("text") == 4
    assert not lasts.isatty()


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [("utf-8", "é 한 ·"), ("cp1252", "é \\ud55c ·"), ("ascii", "\\xe9 \\ud55c \\xb7")],
)
def test_what_an_encoding_lacks_is_written_as_an_escape(encoding: str, shown: str) -> None:
    held = io.BytesIO()
    lasts = lasting(io.TextIOWrapper(held, encoding=encoding))
    print("é 한 ·", file=lasts, end="")
    lasts.flush()
    assert held.getvalue().decode(encoding) == shown


def test_half_an_emoji_can_be_written() -> None:
    held = io.BytesIO()
    lasts = lasting(io.TextIOWrapper(held, encoding="utf-8"))
    lasts.write("a\ud83d")
    lasts.flush()
    assert held.getvalue() == b"a\\ud83d"


def test_no_stream_is_wrapped_twice() -> None:
    lasts = lasting(io.StringIO())
    assert lasting(lasts) is lasts
    with lasting_output():
        inner = sys.stdout
        with lasting_output():
            assert sys.stdout is inner


def test_a_lasting_stream_has_all_that_the_stream_has() -> None:
    with open(os.devnull, "w", encoding="utf-8") as null:  # noqa: PTH123 - a device
        lasts = cast("TextIO", LastingStream(null))
        assert (lasts.fileno(), lasts.encoding) == (null.fileno(), "utf-8")
