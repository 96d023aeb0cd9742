"""The lines of one lease: taken over, added to, put in order, sealed."""

from __future__ import annotations

import hashlib
import os
import threading
from typing import TYPE_CHECKING

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_eval_so.runner.errors import LostLinesError, StoreError
from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.store.parts.layout import PARTS, part_name, read_marker
from lm_eval_so.runner.store.parts.lease import Asked, Lease
from lm_eval_so.runner.store.parts.part import Part, Source, seal
from support.results import result

if TYPE_CHECKING:
    from pathlib import Path

COUNT = 4


def line(number: int, *, text: str = "", fails: bool = False) -> bytes:
    return result(f"s{number}", text=text, fails=fails).model_dump_json().encode() + b"\n"


def part(run_dir: Path, epoch: int = 9) -> Part:
    return Part(run_dir, Lease(0, COUNT, epoch), 1, Redactor())


def looked_up(of: Part) -> list[int | None]:
    """Where the answer to each question is, as a feed finds it."""
    return [of.ledger.find(number, f"s{number}", "k") for number in range(COUNT)]


def texts(run_dir: Path, epoch: int = 9) -> list[tuple[str, str | None]]:
    """Sample and answer of each line."""
    rows = (run_dir / PARTS / part_name(0, epoch)).read_bytes().splitlines()
    found = map(orjson.loads, rows)
    return [(row["sample_id"], row["response"] and row["response"]["text"]) for row in found]


outcomes = st.lists(st.tuples(st.integers(0, COUNT - 1), st.booleans()), max_size=8)


@given(written=st.lists(outcomes, max_size=3), torn=st.binary(max_size=20))
@settings(max_examples=40)
def test_of_each_question_the_last_answer_is_taken_over_else_the_last_failure(
    written: list[list[tuple[int, bool]]], torn: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    run_dir = tmp_path_factory.mktemp("run")
    expected: dict[int, str | None] = {}
    sources = []
    for number, own in enumerate(written):
        path = run_dir / f"{number}.jsonl"
        path.write_bytes(
            b"".join(
                line(question, text=f"{number}.{at}", fails=not ok)
                for at, (question, ok) in enumerate(own)
            )
            + torn.replace(b"\n", b"")
        )
        sources.append(Source(path))
        for at, (question, ok) in enumerate(own):
            if ok or expected.get(question) is None:
                expected[question] = f"{number}.{at}" if ok else None
    mine = part(run_dir)
    mine.take_over([*sources, Source(run_dir / "gone.jsonl")])
    found = looked_up(mine)
    assert [at is not None for at in found] == [
        expected.get(number) is not None for number in range(COUNT)
    ]
    marker = mine.put_in_order(Asked(COUNT, None), 0)
    assert (marker is None) is (not expected), "a part without a line leaves no file"
    found_texts = [] if marker is None else texts(run_dir)
    assert found_texts == [(f"s{number}", expected[number]) for number in sorted(expected)]


def test_only_the_bytes_of_a_source_are_taken_over(tmp_path: Path) -> None:
    whole = [line(number) for number in range(COUNT)]
    path = tmp_path / "results.jsonl"
    path.write_bytes(b"".join(whole))
    mine = part(tmp_path)
    mine.take_over([Source(path, len(whole[0]), sum(map(len, whole[:3])))])
    assert [at is not None for at in looked_up(mine)] == [False, True, True, False]


def test_a_seal_says_what_is_in_the_part(tmp_path: Path) -> None:
    mine = part(tmp_path)
    mine.add(2, result("s2"))
    mine.add(0, result("s0"))
    mine.add(1, result("s1", fails=True))
    ordered = mine.put_in_order(Asked(COUNT, "digest"), 1)
    assert ordered is not None
    seal(tmp_path, ordered)
    marker = read_marker(tmp_path, 0)
    text = (tmp_path / PARTS / part_name(0, 9)).read_bytes()
    assert marker is not None
    assert [name for name, _ in texts(tmp_path)] == ["s0", "s1", "s2"]
    assert (marker.bytes, marker.sha256) == (len(text), hashlib.sha256(text).hexdigest())
    assert (marker.lines, marker.ok, marker.asked, marker.owed) == (3, 2, "digest", 3)


def test_a_part_that_has_lost_lines_is_not_sealed_and_owes_them(tmp_path: Path) -> None:
    mine = part(tmp_path)
    for number in range(COUNT):
        mine.add(number, result(f"s{number}"))
    path = tmp_path / PARTS / part_name(0, 9)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(LostLinesError, match="has lost results"):
        mine.put_in_order(Asked(COUNT, None), 0)
    mine.believe_the_file()
    assert [at is not None for at in looked_up(mine)] == [True, True, False, False]
    mine.add(2, result("s2"))
    mine.put_in_order(Asked(COUNT, None), 0)
    assert [name for name, _ in texts(tmp_path)] == ["s0", "s1", "s2"]


def test_no_two_writers_have_one_file(tmp_path: Path) -> None:
    part(tmp_path)
    with pytest.raises(StoreError, match="File exists"):
        part(tmp_path)


def test_a_part_without_a_line_leaves_no_file(tmp_path: Path) -> None:
    mine = part(tmp_path)
    mine.take_over([])
    assert mine.put_in_order(Asked(COUNT, None), 0) is None
    assert list((tmp_path / PARTS).iterdir()) == []


def test_a_part_is_not_sealed_before_a_sync_that_goes_on_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a power cut could leave a marker of lines that are not on the disk."""
    mine, fsync, ended = part(tmp_path), os.fsync, list[str]()
    begun, sealed = threading.Event(), threading.Event()

    def slow(descriptor: int) -> None:
        is_first = not begun.is_set()
        begun.set()
        if is_first:
            sealed.wait(0.2)  # it is not: this thread is waited for
        fsync(descriptor)
        if is_first:
            ended.append("synced")

    mine.add(0, result("s0"))
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", slow)
        syncing = threading.Thread(target=mine.sync)
        syncing.start()
        begun.wait()
    mine.put_in_order(Asked(COUNT, None), 0)
    ended.append("in order")
    sealed.set()
    syncing.join()
    assert ended == ["synced", "in order"]


def test_a_sync_of_lines_is_one_of_the_names_that_lead_to_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, fsync, synced = part(tmp_path), os.fsync, list[tuple[int, int]]()

    def noted(descriptor: int) -> None:
        found = os.fstat(descriptor)
        synced.append((found.st_dev, found.st_ino))
        fsync(descriptor)

    mine.add(0, result("s0"))
    monkeypatch.setattr(os, "fsync", noted)
    mine.sync()
    mine.add(1, result("s1"))
    mine.sync()
    folder = tmp_path / PARTS
    path = folder / part_name(0, 9)
    states = [each.stat() for each in (path, tmp_path, folder, path)]
    assert synced == [(found.st_dev, found.st_ino) for found in states]
