"""What a merge takes of which directory, and what it leaves."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import orjson
import pytest

from conftest import rows
from lm_eval_so.merge.cli import main
from lm_eval_so.runner.store.metadata import read_metadata
from lm_eval_so.runner.store.spent import SpentFile
from lm_eval_so.runner.summary.amount import Amount
from support.merge_runs import bad, ok
from support.results import NOW

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LATER = {"completed_at": NOW + timedelta(microseconds=1)}


def texts(directory: Path) -> dict[str, str | None]:
    """The answers by sample, in the order of the file; None of a failure."""
    lines = rows(directory / "run_results.jsonl")
    assert len({line["sample_id"] for line in lines}) == len(lines)
    return {line["sample_id"]: (line["response"] or {"text": None})["text"] for line in lines}


def merge(*directories: Path, to: Path) -> int:
    return main([*map(str, directories), "--to", str(to)])


@pytest.mark.parametrize("turned", [False, True], ids=["in-order", "turned-round"])
def test_of_two_lines_an_answer_wins_over_a_failure_and_then_the_later_one(
    left: Callable[..., Path], tmp_path: Path, *, turned: bool
) -> None:
    one = left("one", [ok(3), ok(0, "old"), bad(1, **LATER), bad(2)])
    two = left("two", [ok(0, "new", **LATER), ok(1, "old but there"), bad(2, **LATER)])
    pair = [two, one] if turned else [one, two]
    assert merge(*pair, to=tmp_path / "whole") == 1
    assert texts(tmp_path / "whole") == {
        "s0": "new",
        "s1": "old but there",
        "s2": None,
        "s3": "yes",
    }
    failure = rows(tmp_path / "whole/run_results.jsonl")[2]
    assert failure["completed_at"] == "2026-11-01T00:00:00.000001Z"
    assert not (tmp_path / "whole/superseded_results.jsonl").exists()


def test_a_directory_that_is_named_twice_or_is_the_place_itself_counts_once(
    left: Callable[..., Path], tmp_path: Path
) -> None:
    one, two = left("one", [ok(0), ok(1)]), left("two", [ok(2), ok(3)])
    for path in (one, two):
        spend(path, Amount(2, 20))
    (tmp_path / "link").symlink_to(one)
    for _ in range(2):
        assert merge(one, two, tmp_path / "link", one, to=one) == 0
        assert list(texts(one)) == ["s0", "s1", "s2", "s3"]
        assert SpentFile(one / "spent.json").read() == Amount(4, 40)
    assert list(texts(two)) == ["s2", "s3"]


def test_a_torn_and_a_damaged_line_are_owed_and_a_whole_one_without_its_newline_is_not(
    left: Callable[..., Path], tmp_path: Path
) -> None:
    one, two = left("one", [ok(0), ok(1)]), left("two", [ok(2), ok(3)])
    for path, change in (
        (one / "run_results.jsonl", lambda text: text[:-1]),
        (two / "run_results.jsonl", lambda text: b"?" + text[:-9]),
    ):
        path.write_bytes(change(path.read_bytes()))
    assert merge(one, two, to=tmp_path / "whole") == 2
    assert list(texts(tmp_path / "whole")) == ["s0", "s1"]
    found = read_metadata(tmp_path / "whole")
    assert found is not None
    assert found.summary is not None
    assert (found.state, found.summary.status_counts) == ("partial", {"ok": 2, "owed": 2})


def test_answers_that_were_set_aside_are_kept_and_those_that_are_asked_again_count(
    left: Callable[..., Path], tmp_path: Path
) -> None:
    old = {"request_messages": [{"role": "user", "content": "of last week"}], "request_key": "x"}
    one, two = left("one", [ok(0), ok(1), ok(2, "stale", **old)]), left("two", [ok(2)])
    (two / "superseded_results.jsonl").write_text(
        "".join(f"{line.model_dump_json()}\n" for line in (ok(3, "came back"), ok(9, "gone")))
    )
    whole = tmp_path / "whole"
    for _ in range(2):
        assert merge(one, two, to=whole) == 0
        assert texts(whole) == {"s0": "yes", "s1": "yes", "s2": "yes", "s3": "came back"}
        aside = rows(whole / "superseded_results.jsonl")
        assert {line["response"]["text"] for line in aside} == {"stale", "gone"}


def test_an_answer_that_was_set_aside_in_the_place_itself_becomes_its_result(
    left: Callable[..., Path], tmp_path: Path
) -> None:
    one, two = left("one", [ok(0), ok(1), ok(2)]), left("two", [])
    (one / "superseded_results.jsonl").write_text(f"{ok(3).model_dump_json()}\n")
    (tmp_path / "link").symlink_to(one)
    assert merge(two, tmp_path / "link", to=one) == 0
    assert list(texts(one)) == ["s0", "s1", "s2", "s3"]
    assert not (one / "superseded_results.jsonl").exists()


def test_of_two_keys_of_one_question_the_later_counts_and_the_other_answer_is_kept(
    left: Callable[..., Path], tmp_path: Path
) -> None:
    one = left("one", [ok(0, "of the old prompt"), *map(ok, (1, 2, 3))])
    two = left("two", [ok(0, "of the new one", request_key="another", **LATER)])
    assert merge(one, two, to=tmp_path / "whole") == 0
    assert texts(tmp_path / "whole")["s0"] == "of the new one"
    (aside,) = rows(tmp_path / "whole/superseded_results.jsonl")
    assert aside["response"]["text"] == "of the old prompt"


def test_what_was_spent_counts_once_however_the_directories_are_merged(
    left: Callable[..., Path], tmp_path: Path
) -> None:
    parts = [left(name, [ok(number)]) for number, name in enumerate("abc")]
    for path in parts:
        spend(path, Amount(10, 100, 0.5))
    a, b, c = parts
    pair, whole = tmp_path / "pair", tmp_path / "whole"
    merge(a, b, to=pair)
    assert total(pair) == Amount(20, 200, 1.0)
    spend(a, Amount(11, 110, 0.75))  # it went on
    spend(pair, Amount(22, 220, 1.25))  # so did the whole
    merge(pair, c, a, to=whole)
    assert total(whole) == Amount(33, 330, 2.0)
    merge(b, whole, to=whole)
    assert total(whole) == Amount(33, 330, 2.0)


def test_a_merge_that_was_killed_between_the_two_files_of_what_was_spent_counts_it_once(
    left: Callable[..., Path],
) -> None:
    a, b = left("a", [ok(0)]), left("b", [ok(1)])
    spend(a, Amount(10, 100))
    spend(b, Amount(5, 50))
    merge(a, b, to=a)
    spend(a, Amount(10, 100))  # as if the second file had not been written
    merge(a, b, to=a)
    assert total(a) == Amount(15, 150)


def test_where_no_total_was_kept_the_lines_tell_what_was_spent(
    left: Callable[..., Path], tmp_path: Path
) -> None:
    tokens = {"response": {"tokens": {"input": 3, "output": 4, "total": 7}}}
    a, b = left("a", [ok(0, **tokens)]), left("b", [ok(1)])
    spend(b, Amount(5, 50))
    merge(a, b, to=tmp_path / "whole")
    assert total(tmp_path / "whole") == Amount(5 + 3, 50 + 7, 0, 3, 4)


def test_more_directories_than_files_may_be_open_are_merged(
    left: Callable[..., Path], tmp_path: Path
) -> None:
    count = 150
    parts = [left(f"part{n}", [ok(n)], count) for n in reversed(range(count))]
    assert merge(*parts, to=tmp_path / "whole") == 0
    assert list(texts(tmp_path / "whole")) == [f"s{n}" for n in range(count)]


def test_of_an_earlier_release_the_path_alone_tells_how_to_read_the_dataset(
    left: Callable[..., Path], tmp_path: Path
) -> None:
    parts = [left(name, [ok(n)], 2, dataset={"config": {}}) for n, name in enumerate("ab")]
    assert merge(*parts, to=tmp_path / "whole") == 0
    assert list(texts(tmp_path / "whole")) == ["s0", "s1"]


@pytest.mark.parametrize(
    ("asked", "selection", "state"),
    [
        pytest.param(
            [{"limit": 2}, {"limit": 3}],
            {"asked": {"any_of": [{"limit": 2}, {"limit": 3}]}, "selected": 3, "of": 4},
            "partial",
            id="pilots",
        ),
        pytest.param(
            [{"ids": ["s0", "s1"], "shard": "1/2"}, {"ids": ["s0", "s1"], "shard": "2/2"}],
            {"asked": {"ids": ["s0", "s1"]}, "selected": 2, "of": 4},
            "complete",
            id="shards-of-a-part",
        ),
        pytest.param(
            [{"ids": "200 ids"}, {"ids": ["s0"]}],
            {"asked": {"any_of": [{"ids": "200 ids"}, {"ids": ["s0"]}]}, "selected": 2, "of": 4},
            "complete",
            id="ids-that-are-not-known",
        ),
        pytest.param(
            [{"limit": 2}, {}], {"asked": {}, "selected": 4, "of": 4}, "partial", id="whole"
        ),
    ],
)
def test_the_selection_is_what_the_runs_asked_for_together(
    left: Callable[..., Path],
    tmp_path: Path,
    asked: list[dict[str, object]],
    selection: dict[str, object],
    state: str,
) -> None:
    runs = [
        left(name, [ok(number)], selection={"asked": each, "selected": 2, "of": 4})
        for number, (name, each) in enumerate(zip("ab", asked, strict=True))
    ]
    assert merge(*runs, to=tmp_path / "whole") == (2 if state == "partial" else 0)
    found = orjson.loads((tmp_path / "whole/run_metadata.json").read_bytes())
    assert (found["selection"], found["state"]) == (selection, state)


def test_a_dataset_that_was_moved_is_named_where_it_is(
    left: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = "lm-eval-so dataset=path dataset.path=numbers model=m select.shard=1/2"
    one = left("one", [ok(0)], command=f"{again} output_dir=one")
    (tmp_path / "numbers").rename(tmp_path / "moved")
    whole = tmp_path / "whole"
    assert merge(one, to=whole) == 2
    assert "say where it is with --dataset PATH" in capsys.readouterr().err
    assert not whole.exists()
    main([str(one), "--to", "whole", "--dataset", "moved"])
    found = read_metadata(whole)
    assert found is not None
    assert found.dataset.location == str(tmp_path / "moved/test.jsonl")
    assert found.dataset.config == {"path": "moved"}
    assert found.command == ("lm-eval-so dataset=path model=m dataset.path=moved output_dir=whole")
    assert f"3 of 4 results are missing; ask for them with: {found.command}" in (
        capsys.readouterr().err
    )


def spend(directory: Path, amount: Amount) -> None:
    file = SpentFile(directory / "spent.json")
    file.write(amount)
    file.close()


def total(directory: Path) -> Amount:
    found = SpentFile(directory / "spent.json").read()
    assert found is not None
    return Amount(*(round(each, 6) for each in found))
