"""Runs joined by question: what the manifest, the columns and the blocks say is what lines say."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conftest import rows
from lm_eval_so.report.board import Board
from lm_eval_so.report.runs import named_runs
from lm_eval_so.runner.hydra_app.app import main
from lm_eval_so.runner.summary.answers import kinds_of
from support.report_page import ReadPage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

EARLIER = Path(__file__).parent.parent / "fixtures" / "written_by_83ed9b7" / "outputs" / "colours"
SAMPLES = 12
FAULTS = ["server_error=0.15", "truncated=0.2", "refusal=0.1", "garbage=0.1"]


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Samples with tags and metadata."""
    path = tmp_path / "mixed.jsonl"
    samples = [
        {
            "id": f"s{n}",
            "messages": [{"role": "user", "content": f"질문 {n}"}],
            "expected": {"n": n},
            "tags": ["even"] if n % 2 == 0 else ["odd", "prime"],
            "metadata": {"n": n, "half": n // 6, "one": n == 1, "deep": {"a": 1}},
        }
        for n in range(SAMPLES)
    ]
    path.write_text("".join(json.dumps(sample) + "\n" for sample in samples))
    return path


def run(dataset: Path, *arguments: str) -> None:
    options = [f"backend.options.{fault}" for fault in (*FAULTS, "latency_ms=1")]
    target = ["backend=simulated", "dataset=path", f"dataset.path={dataset}"]
    main([*target, *options, "runner.max_retries=0", *arguments])


def directories() -> list[Path]:
    return sorted(path.parent for path in Path("outputs").rglob("run_metadata.json"))


def board_of(*paths: Path) -> Board:
    board = Board(named_runs(paths))
    board.update()
    return board


def lines_of(path: Path) -> list[dict[str, Any]]:
    return rows(path / "run_results.jsonl")


@pytest.fixture
def sweep(dataset: Path) -> list[Path]:
    """Two models, each without and with a prompt, three times each sample."""
    for system in ([], ["prompt.system='Be short. {{ metadata.n }}'"]):
        run(dataset, "-m", "model=a,b", "repeats=3", *system)
    assert len(directories()) == 4
    return directories()


def test_each_result_stands_in_its_row_and_slot(sweep: list[Path]) -> None:
    page = ReadPage.of_board(board_of(*sweep))
    assert page.manifest["rows"] == SAMPLES
    assert [(slot["cell"], slot["repeat"]) for slot in page.manifest["slots"]] == [
        (cell, repeat) for cell in range(4) for repeat in range(3)
    ]
    seen = 0
    for slot, where in enumerate(page.manifest["slots"]):
        for line in lines_of(sweep[where["cell"]]):
            if line["repeat"] == where["repeat"]:
                seen += 1
                check_result(page, slot, line)
    assert seen == 4 * 3 * SAMPLES


def check_result(page: ReadPage, slot: int, line: dict[str, Any]) -> None:
    row = page.ids.index(line["sample_id"])
    shown, answer = page.rows[row]["results"][slot], line["response"] or {}
    status = {"ok": 1, "error": 2, "timeout": 3}[line["status"]]
    assert page.result("status", row, slot) == status
    assert (shown["status"], shown["request_key"]) == (line["status"], line["request_key"])
    assert shown.get("text") == answer.get("text")
    assert (shown.get("error") or {}).get("message") == (line["error"] or {}).get("message")
    kinds = kinds_of(answer) if answer else (False, False, False)
    flags = int(page.result("flags", row, slot))
    assert tuple(bool(flags & bit) for bit in (1, 2, 4)) == tuple(kinds)
    assert page.result("length", row, slot) == len(answer.get("text", ""))
    began = datetime.fromisoformat(line["started_at"]).timestamp()
    zero = datetime.fromisoformat(page.manifest["started_at"]).timestamp()
    assert page.result("start", row, slot) == pytest.approx(began - zero, abs=1e-3)
    ended = datetime.fromisoformat(line["completed_at"]).timestamp()
    assert page.result("end", row, slot) == pytest.approx(ended - zero, abs=1e-3)


def test_rows_stand_in_the_order_of_the_first_file(sweep: list[Path]) -> None:
    page = ReadPage.of_board(board_of(*sweep))
    assert page.ids == [f"s{n}" for n in range(SAMPLES)]
    assert [row["id"] for row in page.rows] == page.ids


def test_messages_are_those_of_a_cell_without_a_prompt(sweep: list[Path]) -> None:
    board = board_of(*sweep)
    with_prompt = [run.metadata.prompt is not None for run in board.runs]
    assert sorted(with_prompt) == [False, False, True, True]
    for row in ReadPage.of_board(board).rows:
        assert [message["role"] for message in row["messages"]] == ["user"]
        for slot, result in enumerate(row["results"]):
            asked = result.get("messages")
            assert (asked is not None) == with_prompt[slot // 3]
            assert asked is None or asked[0]["role"] == "system"


def test_what_only_a_run_with_a_prompt_holds_is_shown_as_asked(sweep: list[Path]) -> None:
    board = board_of(*sweep)
    own = next(run.index.run_dir for run in board.runs if run.metadata.prompt)
    for row in ReadPage.of_board(board_of(own)).rows:
        assert row["messages"][0]["role"] == "system"
        assert "messages" not in row["results"][0]


def test_cells_are_named_by_what_varies(sweep: list[Path]) -> None:
    manifest = board_of(*sweep).manifest()
    names = [cell["name"] for cell in manifest["cells"]]
    assert len(set(names)) == 4
    assert all("model=" in name for name in names)
    assert {cell["settings"]["model"] for cell in manifest["cells"]} == {"a", "b"}
    assert board_of(sweep[0]).manifest()["cells"][0]["name"].startswith("simulated_")


def test_answers_are_numbered_by_row_as_they_first_appear(sweep: list[Path]) -> None:
    page = ReadPage.of_board(board_of(*sweep))
    some_differ = False
    for row, shown in enumerate(page.rows):
        texts: list[str] = []
        for slot, result in enumerate(shown["results"]):
            number = page.result("answer", row, slot)
            if result["status"] != "ok":
                assert number == 0xFFFF
                continue
            if result["text"] not in texts:
                texts.append(result["text"])
            assert number == texts.index(result["text"])
        some_differ = some_differ or len(texts) > 1
    assert some_differ


def test_counts_are_those_of_the_lines(sweep: list[Path]) -> None:
    manifest = board_of(*sweep).manifest()
    for cell, path in zip(manifest["cells"], sweep, strict=True):
        found = Counter(line["status"] == "ok" for line in lines_of(path))
        assert cell["asked"] == 3 * SAMPLES
        assert cell["counts"] == {"ok": found[True], "failed": found[False], "owed": 0}
        assert found[False] > 0
        assert cell["summary"] is not None
        assert cell["command"] is not None
        assert cell["command"].startswith("lm-eval-so backend=simulated")
        assert cell["resume"] == cell["command"], "some have failed"


def test_what_is_owed_is_in_the_denominator(dataset: Path) -> None:
    run(dataset, "output_dir=half", "select.limit=7")
    half = Path("half")
    metadata = json.loads((half / "run_metadata.json").read_bytes())
    metadata |= {"state": "running", "summary": None, "verdict": None}
    metadata["selection"]["selected"] = SAMPLES
    (half / "run_metadata.json").write_text(json.dumps(metadata))  # as after a kill
    (cell,) = board_of(half).manifest()["cells"]
    assert cell["asked"] == SAMPLES
    assert cell["counts"]["owed"] == SAMPLES - 7
    assert sum(cell["counts"].values()) == SAMPLES
    run(dataset, "output_dir=whole", "model=other")
    board = board_of(half, Path("whole"))
    page = ReadPage.of_board(board)
    assert page.column("status")[:SAMPLES].count(0) == SAMPLES - 7
    assert [row["results"][0] is None for row in page.rows] == [n >= 7 for n in range(SAMPLES)]
    assert page.ids == [f"s{n}" for n in range(SAMPLES)]


def test_tags_and_metadata_stand_in_columns_of_the_rows(sweep: list[Path]) -> None:
    page = ReadPage.of_board(board_of(*sweep))
    tags, sets = page.manifest["tags"], page.manifest["tagsets"]
    fields = {field["name"]: field["values"] for field in page.manifest["fields"]}
    assert fields.keys() == {"n", "half", "one"}, "what is no scalar is no column"
    for row, shown in enumerate(page.rows):
        own = sets[int(page.column("tagset")[row])]
        assert [tags[number] for number in own] == shown["tags"]
        for name, values in fields.items():
            value = values[int(page.column(f"field.{name}")[row])]
            assert value == shown["metadata"][name]
            assert type(value) is type(shown["metadata"][name])


def test_samples_with_one_id_and_other_words_are_two_rows(
    make_dataset: Callable[..., Path],
) -> None:
    run(make_dataset(3), "output_dir=one")
    run(make_dataset(3, s1="another question"), "output_dir=two")
    page = ReadPage.of_board(board_of(Path("one"), Path("two")))
    assert page.ids == ["s0", "s1", "s2", "s1"]
    owed = [[result is None for result in row["results"]] for row in page.rows]
    assert owed == [[False, False], [False, True], [False, False], [True, False]]
    assert [cell["dataset"] for cell in page.manifest["cells"]] == [0, 1]


def test_the_last_result_of_a_question_counts_but_no_failure_after_an_answer(
    make_dataset: Callable[..., Path],
) -> None:
    run(make_dataset(8), "output_dir=run")
    path = Path("run")
    lines = lines_of(path)
    ok = next(line for line in lines if line["status"] == "ok")
    failed = next(line for line in lines if line["status"] != "ok")
    same = ("sample_id", "request_messages", "request_key")
    later = [
        ok | {name: failed[name] for name in same},
        failed | {name: ok[name] for name in same},
    ]
    with (path / "run_results.jsonl").open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in later)
    page = ReadPage.of_board(board_of(path))
    assert page.manifest["rows"] == 8
    for line in later:
        row = page.rows[page.ids.index(line["sample_id"])]
        assert row["results"][0]["status"] == "ok"


def test_a_board_of_a_run_that_goes_on_is_that_of_one_read_at_once(sweep: list[Path]) -> None:
    whole = [(path / "run_results.jsonl").read_bytes().splitlines(keepends=True) for path in sweep]
    expected = ReadPage.of_board(board_of(*sweep))
    for path, lines in zip(sweep, whole, strict=True):
        (path / "run_results.jsonl").write_bytes(b"".join(lines[:SAMPLES]))
    board = board_of(*sweep)
    assert not board.update()
    revision = board.revision
    for path, lines in zip(sweep, whole, strict=True):
        with (path / "run_results.jsonl").open("ab") as file:
            file.writelines(lines[SAMPLES:])
    assert board.update()
    assert board.revision == revision + 1
    page = ReadPage.of_board(board)
    assert contents(page) == contents(expected)
    assert page.index == expected.index


def test_a_run_that_was_put_in_order_meanwhile_is_read_anew(sweep: list[Path]) -> None:
    board = board_of(sweep[0])
    path = sweep[0] / "run_results.jsonl"
    new = path.with_name("new")
    new.write_bytes(b"".join(reversed(path.read_bytes().splitlines(keepends=True))))
    new.replace(path)
    assert all(row["results"] for row in ReadPage.of_board(board).rows), "no wrong answers"
    assert board.update()
    assert ReadPage.of_board(board).ids == [f"s{n}" for n in reversed(range(SAMPLES))]


def test_a_change_of_the_metadata_alone_is_one(sweep: list[Path]) -> None:
    board = board_of(sweep[0])
    path = sweep[0] / "run_metadata.json"
    path.write_bytes(path.read_bytes().replace(b'"state": "complete"', b'"state": "running"'))
    assert board.update()
    assert board.manifest()["cells"][0]["state"] == "running"


def contents(page: ReadPage) -> Sequence[object]:
    kept = {key: value for key, value in page.manifest.items() if key not in CHANGING}
    return [kept, page.rows]


CHANGING = {"created_at", "revision", "block_rows", "blocks"}


def test_runs_of_an_earlier_release_make_a_board() -> None:
    paths = sorted(EARLIER.glob("simulated_*"))
    page = ReadPage.of_board(board_of(*paths))
    assert page.manifest["rows"] == 4
    counts = {Path(c["run_dir"]).name: c["counts"] for c in page.manifest["cells"]}
    for path in paths:
        ok = len(lines_of(path))
        assert counts[path.name] == {"ok": ok, "failed": 0, "owed": 4 - ok}
        assert all(cell["command"] is None for cell in page.manifest["cells"])
