"""JUnit XML as a parser of it reads it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from junitparser import Error, Failure, JUnitXml, Skipped

from lm_eval_so.report.export.cli import main
from lm_eval_so.report.export.junit import LISTED
from support.run_directories import answered, failed, write_run

if TYPE_CHECKING:
    from junitparser import TestSuite

WRITTEN = Path(__file__).parents[2] / "fixtures" / "written_by_83ed9b7" / "outputs" / "colours"


def suites(output: Path, *folders: Path) -> list[TestSuite]:
    assert main([*map(str, folders), "--to", "junit", "-o", str(output)]) == 0
    return list(JUnitXml.fromfile(str(output)))


def outcomes(tmp_path: Path, *results: Any, **changed: Any) -> dict[str, Any]:  # noqa: ANN401 - as write_run
    """By the name of the case, its outcome; None if it passed."""
    (suite,) = suites(tmp_path / "out.xml", write_run(tmp_path / "run", results, **changed))
    found = {case.name: (case.result or [None])[0] for case in suite}
    assert suite.tests == len(found)
    assert suite.failures == sum(isinstance(outcome, Failure) for outcome in found.values())
    assert suite.errors == sum(isinstance(outcome, Error) for outcome in found.values())
    assert suite.skipped == sum(isinstance(outcome, Skipped) for outcome in found.values())
    return found


def test_a_run_that_counts_passes_all_its_conditions(tmp_path: Path) -> None:
    found = outcomes(tmp_path, answered("a"), answered("b"))
    assert found == {
        "the run was carried out": None,
        "every sample has an outcome": None,
        "runner.max_failures=0": None,
    }


def test_only_a_gate_with_a_bound_is_a_case_and_an_exceeded_one_fails_with_words(
    tmp_path: Path,
) -> None:
    cut = answered("b", response={"finish_reason": "length"})
    options = {"gate": {"truncated": 0.1, "empty": 0.5}, "max_failures": None}
    found = outcomes(tmp_path, answered("a"), cut, options=options)
    gate = found["runner.gate.truncated=0.1"]
    assert isinstance(gate, Failure)
    assert gate.message == (
        "1 of 2 samples (50%) were cut off by a limit on their tokens, "
        "more than runner.gate.truncated=0.1"
    )
    assert found["runner.gate.empty=0.5"] is None
    assert len(found) == 4


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({}, Failure),
        ({"gate": {"failed": 0.3}}, Failure),
        ({"max_failures": 1}, Skipped),
        ({"max_failures": None}, Skipped),
        ({"gate": {"failed": 0.5}}, Skipped),
    ],
)
def test_a_failed_sample_fails_where_the_gate_on_them_is_exceeded_and_is_skipped_else(
    tmp_path: Path, options: dict[str, Any], kind: type
) -> None:
    found = outcomes(tmp_path, answered("a"), failed("b", "server\nis down"), options=options)
    sample = found["sample b"]
    assert isinstance(sample, kind)
    assert sample.message == "InternalServerError: server is down"
    fails = [outcome for outcome in found.values() if isinstance(outcome, Failure | Error)]
    assert bool(fails) is (kind is Failure)


def test_repeats_have_names_of_their_own(tmp_path: Path) -> None:
    results = [failed("a", repeat=n, request_key=f"k{n}") for n in range(2)]
    found = outcomes(tmp_path, *results, samples=2)
    assert {"sample a", "sample a [repeat 1]"} <= found.keys()


def test_samples_without_an_outcome_fail(tmp_path: Path) -> None:
    found = outcomes(tmp_path, answered(), samples=3, state="partial", reason="interrupted")
    assert isinstance(found["the run was carried out"], Error)
    assert found["the run was carried out"].message == "interrupted"
    assert found["every sample has an outcome"].message == "2 of 3 samples have no outcome"


def test_a_run_that_was_killed_is_an_error(tmp_path: Path) -> None:
    found = outcomes(tmp_path, answered(), state="running", summary=None, verdict=None)
    assert found["the run was carried out"].message == "it has not ended"
    assert "runner.max_failures=0" not in found


def test_a_pilot_says_how_much_it_asked_and_does_not_fail(tmp_path: Path) -> None:
    found = outcomes(tmp_path, answered(), selection={"selected": 1, "of": 50})
    asked = found["the whole dataset was asked"]
    assert isinstance(asked, Skipped)
    assert asked.message == "1 of 50 samples of the dataset were selected"


def test_a_key_of_a_gate_that_this_release_does_not_know_is_passed_over(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [answered()])
    path = run / "run_metadata.json"
    path.write_text(path.read_text().replace('"options": {}', '"options": {"gate": {"new": 1}}'))
    assert '"new"' in path.read_text()
    (suite,) = suites(tmp_path / "out.xml", run)
    assert suite.failures == 0


def test_each_cell_is_a_suite_with_what_it_was(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, [answered()], model=name) for name in ("x", "y")]
    one, other = suites(tmp_path / "out.xml", *runs)
    assert (one.name, other.name) == ("model=x", "model=y")
    properties = {each.name: each.value for each in other.properties()}
    assert (properties["model"], properties["dataset.version"]) == ("y", "1.2")
    assert properties["verdict"] == "complete"


def test_names_and_words_of_strangers_are_text(tmp_path: Path) -> None:
    hostile = 'a</testcase><x y="\x00\x1b\u2028'
    found = outcomes(tmp_path, failed(hostile, f"]]>{hostile}"))
    assert "sample " + hostile.replace("\x00", "\ufffd").replace("\x1b", "\ufffd") in found


def test_of_many_failed_samples_the_first_are_cases(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = outcomes(tmp_path, *[failed(f"s{n}") for n in range(LISTED + 5)])
    assert sum(name.startswith("sample ") for name in found) == LISTED
    assert "1,000 of the 1,005 failed samples" in capsys.readouterr().err


def test_an_earlier_release_is_understood(tmp_path: Path) -> None:
    found = {suite.name: suite for suite in suites(tmp_path / "out.xml", WRITTEN)}
    assert len(found) == 4
    assert sum(suite.errors for suite in found.values()) == 1
    assert sum(suite.failures for suite in found.values()) == 1
