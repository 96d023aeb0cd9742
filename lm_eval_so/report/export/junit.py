"""JUnit XML, as pytest writes it and CI servers show it: a suite a cell, a case a condition."""

from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple
from xml.etree import ElementTree as ET

from lm_eval_so.report.export.cell import Cell
from lm_eval_so.report.export.export import Export
from lm_eval_so.report.export.junit_cases import Case, conditions, failed_gate, of_failure
from lm_eval_so.report.export.xml_text import clean

LISTED: Final = 1_000
"""Failed samples of a cell that are cases of their own."""


class _Suite(NamedTuple):
    """A cell before it is XML."""

    cell: Cell
    cases: list[Case]

    def count(self, outcome: str) -> int:
        return sum(case.outcome == outcome for case in self.cases)


def write(export: Export, file: BinaryIO) -> None:
    """Writes a suite for each cell.

    Its cases are what makes a run count: that it was carried out, that every sample has an outcome,
    that no gate is exceeded. Only a gate with a bound is a case. Beside them, each failed sample is
    one: a failure where the gate on failed samples is exceeded, and skipped, with its error, where
    it is not. So the file fails just where the exit code does.
    """
    suites = [_Suite(cell, list(_cases(export, cell))) for cell in export.cells]
    root = ET.Element("testsuites", {"name": "lm-eval-so", **_counts(suites)})
    for suite in suites:
        root.append(_suite(suite))
    ET.indent(root)
    ET.ElementTree(root).write(file, encoding="utf-8", xml_declaration=True)


def _cases(export: Export, cell: Cell) -> Iterator[Case]:
    count = failed = 0
    fails = failed_gate(cell.metadata)
    listed: list[Case] = []
    for result in export.results(cell):
        count += 1
        if result.error is not None:
            failed += 1
            if failed <= LISTED:
                listed.append(of_failure(result, fails=fails))
    yield from conditions(cell.metadata, count)
    yield from listed
    if failed > LISTED:
        export.notes.append(
            f"{LISTED:,} of the {failed:,} failed samples of {cell.name} are cases of their own"
        )


def _suite(suite: _Suite) -> ET.Element:
    run = suite.cell.metadata
    name, started_at = clean(suite.cell.name), run.started_at.isoformat(timespec="seconds")
    counts = _counts([suite])
    element = ET.Element("testsuite", {"name": name, "timestamp": started_at, **counts})
    properties = ET.SubElement(element, "properties")
    for name, value in _properties(suite.cell).items():
        ET.SubElement(properties, "property", name=clean(name), value=clean(str(value)))
    element.extend(_case(case, suite.cell) for case in suite.cases)
    return element


def _properties(cell: Cell) -> dict[str, object]:
    run = cell.metadata
    return {
        "run_dir": cell.directory,
        "dataset": run.dataset.id,
        "dataset.version": run.dataset.version or "",
        "dataset.sha256": run.dataset.sha256,
        "dataset.samples": run.dataset.sample_count,
        "backend": run.run_config.backend,
        "model": run.run_config.model,
        "verdict": run.verdict or "",
        "warnings": "; ".join(run.verdict.warnings) if run.verdict else "",
        **cell.settings,
    }


def _case(case: Case, cell: Cell) -> ET.Element:
    element = ET.Element(
        "testcase",
        name=clean(case.name),
        classname=clean(cell.name),
        time=f"{case.seconds:.3f}",
    )
    if case.outcome != "passed":
        outcome = ET.SubElement(element, case.outcome, message=clean(case.message))
        if case.outcome != "skipped":
            outcome.set("type", clean(case.kind))
        outcome.text = clean(case.text or case.message)
    return element


def _counts(suites: list[_Suite]) -> dict[str, str]:
    seconds = sum(s.cell.metadata.summary.wall_time_s for s in suites if s.cell.metadata.summary)
    return {
        "tests": str(sum(len(suite.cases) for suite in suites)),
        "failures": str(sum(suite.count("failure") for suite in suites)),
        "errors": str(sum(suite.count("error") for suite in suites)),
        "skipped": str(sum(suite.count("skipped") for suite in suites)),
        "time": f"{seconds:.3f}",
    }
