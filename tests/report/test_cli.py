"""``lm-eval-so report``, and the page at the end of a run and of a sweep."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.runner.hydra_app.app import main
from lm_eval_so.runner.hydra_app.cell_command import cell_command
from support.report_page import ReadPage

if TYPE_CHECKING:
    from collections.abc import Callable

    Command = Callable[..., subprocess.CompletedProcess[str]]

QUICK = ["backend=simulated", "backend.options.latency_ms=1"]
WRITTEN = Path(__file__).parent.parent / "fixtures" / "written_by_83ed9b7"


def test_a_run_of_an_earlier_release_becomes_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(WRITTEN, tmp_path, dirs_exist_ok=True)
    assert main(["report", "outputs/colours/sweeps/heat", "-o", "heat.html"]) == 0
    assert capsys.readouterr().out == "heat.html\n"
    page = ReadPage.of_file(Path("heat.html"))
    assert [cell["name"] for cell in page.manifest["cells"]] == [
        "params.temperature=0",
        "params.temperature=1",
    ]
    assert page.ids == ["red", "green", "blue", "grey"]


def test_the_end_of_a_run_tells_the_command_that_makes_its_page(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*QUICK, "output_dir='a run'"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "report    lm-eval-so report 'a run'"
    assert not Path("a run/report.html").exists()
    assert main(shlex.split(last)[2:]) == 0
    assert ReadPage.of_file(Path("a run/report.html")).manifest["rows"] == 3


def test_the_end_of_a_sweep_tells_the_command_that_makes_its_page(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["-m", *QUICK, "model=a,b", "sweep_name=both"]) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("report ")]
    assert told == ["report    lm-eval-so report outputs/toy_support_qa_v1/sweeps/both"]
    assert main(shlex.split(told[0])[2:]) == 0
    page = ReadPage.of_file(Path("outputs/toy_support_qa_v1/sweeps/both/report.html"))
    assert [cell["name"] for cell in page.manifest["cells"]] == ["model=a", "model=b"]


def test_report_auto_writes_it_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*QUICK, "output_dir=run", "report.auto=true"]) == 0
    assert capsys.readouterr().out.endswith("\nreport    run/report.html\n")
    assert Path("run/report.html").stat().st_mode & 0o777 == 0o600
    (cell,) = ReadPage.of_file(Path("run/report.html")).manifest["cells"]
    assert (cell["state"], cell["counts"]["ok"]) == ("complete", 3)
    assert main(["-m", *QUICK, "model=a,b", "sweep_name=both", "report.auto=true"]) == 0
    pages = [*Path("outputs").rglob("report.html")]
    assert pages == [Path("outputs/toy_support_qa_v1/sweeps/both/report.html")]


def test_report_auto_is_no_part_of_the_identity() -> None:
    assert main([*QUICK]) == 0
    assert main([*QUICK, "report.auto=true"]) == 0
    assert len([*Path("outputs").rglob("run_metadata.json")]) == 1


def test_a_page_that_cannot_be_written_changes_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("run/report.html").mkdir(parents=True)
    assert main([*QUICK, "output_dir=run", "report.auto=true"]) == 0
    told = capsys.readouterr()
    assert "warning: no report.html was written: cannot write run/report.html" in told.err
    assert "report  " not in told.out


def test_a_page_is_for_others_where_the_run_is() -> None:
    assert main([*QUICK, "output_dir=run", "runner.private=false"]) == 0
    assert main(["report", "run"]) == 0
    assert Path("run/report.html").stat().st_mode & 0o044 == 0o044


def test_the_command_of_a_run_and_of_a_cell_stands_in_its_metadata() -> None:
    assert main([*QUICK, "output_dir=run", "params.stop=a b"]) == 0
    assert command_in(Path("run")) == ["lm-eval-so", *QUICK, "output_dir=run", "params.stop=a b"]
    assert main(["-m", *QUICK, "model=a,b", "params.user=x"]) == 0
    for path in Path("outputs").rglob("run_metadata.json"):
        before = path.with_name("run_results.jsonl").read_bytes()
        words = command_in(path.parent)
        assert words[:2] == ["lm-eval-so", "backend=simulated"]
        assert main(words[1:]) == 0, "it is a command"
        assert path.with_name("run_results.jsonl").read_bytes() == before, "of the same run"
    assert len([*Path("outputs").rglob("run_metadata.json")]) == 2


def command_in(directory: Path) -> list[str]:
    command = json.loads((directory / "run_metadata.json").read_bytes())["command"]
    return shlex.split(command)


@pytest.mark.parametrize(
    ("sweep", "flags"),
    [
        ("lm-eval-so -m model=a,b --config-dir 'my conf'", "--config-dir 'my conf'"),
        ("lm-eval-so --multirun --config-name=mine x=1,2", "--config-name=mine"),
        ("lm-eval-so -m model=a,b -cd", "-cd"),
        ("lm-eval-so -m model=a,b", ""),
    ],
)
def test_the_command_of_a_cell_finds_its_config(sweep: str, flags: str) -> None:
    assert cell_command(sweep, ["model=a b"]) == f"lm-eval-so 'model=a b' {flags}".rstrip()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["report", "nowhere"], "error: nowhere does not exist; name a run directory"),
        (["report"], "error: found no run in outputs"),
        (["report", "--to"], "error: unrecognized arguments: --to (see lm-eval-so report --help)"),
        (["report", "--scores", "no.jsonl"], "error: --scores no.jsonl cannot be read: No such"),
        (["reprot"], "error: unknown command 'reprot'; did you mean 'report'?"),
        (["veiw", "x"], "error: unknown command 'veiw'; did you mean 'view'?"),
        (["exports"], "error: unknown command 'exports'; did you mean 'export'?"),
        (["preview"], "error: cannot read the override 'preview'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_command_is_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(sentence)
    assert told.err.count("\n") == 1


def test_it_is_a_command_and_a_module(command: Command) -> None:
    assert command(*QUICK, "output_dir=run").returncode == 0
    assert command("report", "run").stdout == "run/report.html\n"
    module = [sys.executable, "-m", "lm_eval_so.report", "run"]
    assert subprocess.run(module, check=True, capture_output=True).stdout == b"run/report.html\n"
    shown = command("report", "--help")
    assert (shown.returncode, shown.stdout.startswith("usage: lm-eval-so report")) == (0, True)


def test_nothing_of_it_is_loaded_for_a_run() -> None:
    script = (
        "import sys; from lm_eval_so.runner.hydra_app.app import main; main(sys.argv[1:]); "
        "print([name for name in sys.modules if name.startswith('lm_eval_so.report')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *QUICK, "output_dir=run"],
        capture_output=True,
        text=True,
        check=True,
        timeout=110,
    )
    assert done.stdout.endswith("\n[]\n")
