"""The command: where the file goes, what it is called, and what is told."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.report.export.cli import main
from lm_eval_so.report.export.registry import FORMATS
from support.run_directories import answered, failed, sweep_of, write_run

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = [sys.executable, "-m", "lm_eval_so.report.export"]


@pytest.fixture
def run(tmp_path: Path) -> str:
    return str(write_run(tmp_path / "one", [answered("a"), failed("b")]))


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("to", sorted(FORMATS.keys() - {"inspect"}))
def test_the_path_is_printed_and_nobody_else_can_read_the_file(
    run: str, to: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main([run, "--to", to]) == 0
    name = capsys.readouterr().out.strip()
    assert name == FORMATS[to].file
    assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"one", name}


@pytest.mark.parametrize(
    ("to", "hint"), [("cvs", "did you mean 'csv'?"), ("exel", "known: csv, xlsx, parquet")]
)
def test_a_format_that_does_not_exist_names_the_nearest(
    run: str, to: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([run, "--to", to]) == 2
    assert hint in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["x"], ["--to", "csv"], ["x", "--to"]])
def test_what_argparse_refuses_is_the_exit_code_2(arguments: list[str]) -> None:
    assert main(arguments) == 2


def test_help_names_the_formats(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "openai_evals" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("to", "module", "extra"),
    [
        ("xlsx", "xlsxwriter", "excel"),
        ("parquet", "pyarrow", "parquet"),
        ("inspect", "inspect_ai.log", "inspect"),
    ],
)
def test_a_missing_extra_is_told_and_leaves_no_file(
    run: str,
    to: str,
    module: str,
    extra: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert main([run, "--to", to]) == 2
    assert f"pip install 'lm-eval-so[{extra}]'" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"one"}


def test_an_older_file_is_replaced_and_a_link_stays_a_link(run: str, tmp_path: Path) -> None:
    target, link = tmp_path / "target.csv", tmp_path / "link.csv"
    target.write_text("old")
    link.symlink_to(target)
    assert main([run, "--to", "csv", "-o", "link.csv"]) == 0
    assert link.is_symlink()
    assert "sample_id" in target.read_text(encoding="utf-8-sig")


def test_what_fails_leaves_the_older_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "one", [answered(), answered("b", schema_version=99)])
    (tmp_path / "out.csv").write_text("old")
    assert main([str(run), "--to", "csv", "-o", "out.csv"]) == 2
    assert "update lm-eval-so" in capsys.readouterr().err
    assert (tmp_path / "out.csv").read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} == {"one", "out.csv"}


@pytest.mark.parametrize("name", ["run_results.jsonl", "run_metadata.json"])
def test_a_file_that_is_read_is_never_replaced(
    run: str, name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    before = (tmp_path / "one" / name).read_bytes()
    assert main([run, "--to", "openai_evals", "-o", f"one/../one/{name}"]) == 2
    assert "is a file that is read" in capsys.readouterr().err
    assert (tmp_path / "one" / name).read_bytes() == before


@pytest.mark.parametrize(
    ("output", "sentence"),
    [(".", "is a directory"), ("no/such/folder.csv", "cannot write no/such/folder.csv: No such")],
)
def test_a_place_that_takes_no_file_is_one_sentence(
    run: str, output: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([run, "--to", "csv", "-o", output]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("to", ["csv", "junit", "openai_evals"])
def test_a_dash_writes_what_the_file_would_have(run: str, to: str, tmp_path: Path) -> None:
    assert main([run, "--to", to, "-o", "file"]) == 0
    done = subprocess.run([*COMMAND, run, "--to", to, "-o", "-"], capture_output=True, check=True)
    assert done.stdout == (tmp_path / "file").read_bytes()


@pytest.mark.parametrize("to", ["xlsx", "parquet", "inspect"])
def test_what_is_no_text_does_not_go_to_standard_output(
    run: str, to: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([run, "--to", to, "-o", "-"]) == 2
    told = capsys.readouterr()
    assert "add -o FILE" in told.err
    assert not told.out


@pytest.mark.parametrize("to", ["csv", "openai_evals"])
def test_a_reader_that_leaves_ends_the_writing_without_a_traceback(tmp_path: Path, to: str) -> None:
    results = [answered(f"s{n}", "x" * 10_000) for n in range(100)]
    run = write_run(tmp_path / "one", results)
    process = subprocess.Popen(
        [*COMMAND, str(run), "--to", to, "-o", "-"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout
    assert process.stderr
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows has no FIFO")
def test_a_pipe_is_written_to_and_stays_one(run: str, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    assert main([run, "--to", "csv", "-o", "pipe"]) == 0
    reader.join()
    assert b"sample_id" in got[0]
    assert pipe.is_fifo()


def test_no_format_is_loaded_before_it_is_asked_for(run: str) -> None:
    code = (
        "import sys; from lm_eval_so.report.export.cli import main; "
        f"main([{run!r}, '--to', 'csv']); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"aiohttp", "hydra", "inspect_ai", "mlflow", "openai", "pandas", "pyarrow"}
    assert not heavy & {name.partition(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize("to", ["csv", "junit", "openai_evals"])
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a full device")  # noqa: PTH110 - before any fixture
def test_a_standard_output_that_is_full_is_one_sentence(run: str, to: str) -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        done = subprocess.run(
            [*COMMAND, run, "--to", to, "-o", "-"], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 2
    assert done.stderr == b"error: cannot write to standard output: No space left on device\n"


@pytest.mark.parametrize("to", sorted(FORMATS.keys() - {"inspect"}))
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a full device")  # noqa: PTH110 - before any fixture
def test_a_disk_that_is_full_is_one_sentence(run: str, to: str) -> None:
    command = [*COMMAND, run, "--to", to, "-o", "/dev/full"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 2
    assert done.stderr == b"error: cannot write /dev/full: No space left on device\n"


def test_what_a_killed_export_has_left_is_removed_by_the_next(run: str, tmp_path: Path) -> None:
    script = (
        "import os, signal; from pathlib import Path; "
        "from lm_eval_so.report.output import opened\n"
        "with opened(Path('out.csv')) as file:\n"
        "    file.write(b'half'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    (tmp_path / "out.csv.tmp").write_text("mine")
    subprocess.run([sys.executable, "-c", script], check=False)
    assert len(list(tmp_path.glob("out.csv.*-*.tmp"))) == 1
    assert not (tmp_path / "out.csv").exists()
    assert main([run, "--to", "csv", "-o", "out.csv"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"one", "out.csv", "out.csv.tmp"}


def test_others_can_read_it_where_the_runs_were_made_for_them(tmp_path: Path) -> None:
    run = write_run(tmp_path / "open", [answered()], options={"private": False})
    before = os.umask(0o022)
    try:
        assert main([str(run), "--to", "csv"]) == 0
    finally:
        os.umask(before)
    assert (tmp_path / "results.csv").stat().st_mode & 0o777 == 0o644


def test_a_missing_extra_leaves_no_folder_either(
    run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = write_run(tmp_path / "two", [answered()])
    monkeypatch.setitem(sys.modules, "inspect_ai.log", None)
    assert main([run, str(other), "--to", "inspect"]) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"one", "two"}


def test_the_record_of_a_sweep_is_not_replaced(run: str, tmp_path: Path) -> None:
    record = sweep_of(tmp_path / "sweep", [tmp_path / "one"]) / "sweep.json"
    before = record.read_bytes()
    assert main([str(record.parent), "--to", "csv", "-o", str(record)]) == 2
    assert record.read_bytes() == before
    assert run


def test_what_is_missing_of_the_command_line_is_one_sentence(
    run: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([run]) == 2
    assert capsys.readouterr().err == (
        "error: the following arguments are required: --to (see lm-eval-so export --help)\n"
    )
