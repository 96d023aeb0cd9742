"""The check of a dataset that has not changed is not repeated, and never believed for another."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.runner.config.schema import DatasetColumns, DatasetConfig, SelectConfig
from lm_eval_so.runner.dataset.remembered import CheckMemory
from lm_eval_so.runner.dataset.selection import select
from lm_eval_so.runner.dataset.source import locate
from lm_eval_so.runner.errors import DatasetError
from support.checked_place import COUNT, LONG_AGO, Place, sample, spoil, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_an_unchanged_dataset_is_not_read_again_for_the_check(place: Place) -> None:
    first = place.check()
    spoil(place.path)
    assert place.check() == first


def test_what_was_spoilt_behind_its_back_is_found_when_it_is_read_and_told_by_the_next_check(
    place: Place,
) -> None:
    place.check()
    spoil(place.path)
    with pytest.raises(DatasetError):
        place.read(place.check())
    assert not list(place.kept.iterdir())
    with pytest.raises(DatasetError, match=r"numbers\.jsonl:1: not valid JSON"):
        place.check()


def test_an_unchanged_dataset_is_read_whole_after_a_remembered_check(place: Place) -> None:
    place.check()
    assert place.read(place.check()) == [f"s{number}" for number in range(COUNT)]
    assert place.memory().exists()


def grown(path: Path) -> None:
    with path.open("a") as file:
        file.write("no sample\n")
    os.utime(path, ns=(LONG_AGO, LONG_AGO))


def touched(path: Path) -> None:
    spoil(path)
    os.utime(path, ns=(LONG_AGO + 1, LONG_AGO + 1))


def replaced(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    os.utime(other, ns=(LONG_AGO, LONG_AGO))
    spoil(other)
    other.replace(path)


def moved_behind_a_link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")
    spoil(path)


@pytest.mark.parametrize("change", [grown, touched, replaced, moved_behind_a_link])
def test_another_file_is_checked(place: Place, change: Callable[[Path], None]) -> None:
    place.check()
    change(place.path)
    with pytest.raises(DatasetError, match=r"numbers\.jsonl"):
        place.check()


def test_each_file_of_a_dataset_counts(place: Place) -> None:
    for name in "abc":
        write(place.root / f"{name}.jsonl", sample(ord(name)))
    paths = place.root / "*.jsonl"
    first = place.check(paths)
    spoil(place.root / "b.jsonl")
    assert place.check(paths) == first
    touched(place.root / "b.jsonl")
    with pytest.raises(DatasetError, match=r"b\.jsonl:1"):
        place.check(paths)
    (place.root / "b.jsonl").unlink()
    assert place.check(paths).count == 2


@pytest.mark.parametrize(
    "config",
    [
        {"encoding": "cp949"},
        {"layout": "sharegpt"},
        {"columns": DatasetColumns(input="{{ messages }}")},
    ],
    ids=lambda config: next(iter(config)),
)
def test_another_config_is_another_check(place: Place, config: dict[str, object]) -> None:
    place.check()
    spoil(place.path)
    with pytest.raises(DatasetError):
        place.check(**config)


@pytest.mark.parametrize(
    ("seconds", "is_remembered"), [(1.9, False), (-3600, False), (2.1, True)], ids=str
)
def test_a_file_that_has_just_been_written_is_not_remembered(
    place: Place, seconds: float, *, is_remembered: bool
) -> None:
    how = DatasetConfig(path=place.path)
    source = locate(how)
    now = LONG_AGO + round(seconds * 1e9)
    memory = CheckMemory(place.kept, how, source.files, now=lambda: now)
    memory.check(source.reader)
    memory.keep()
    assert place.kept.exists() == is_remembered


def test_samples_that_name_files_are_not_remembered(place: Place) -> None:
    (place.path.parent / "cat.png").write_bytes(b"cat")
    part = {"type": "image_url", "image_url": {"url": "file:cat.png"}}
    write(place.path, {"id": "a", "messages": [{"role": "user", "content": [part]}]})
    place.check()
    assert not place.kept.exists()


def test_a_warning_is_told_by_every_command(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    write(place.path, sample(1), sample(2, temperature=0.5), sample(3))
    place.check()
    assert not place.kept.exists()
    assert "temperature of a sample: kept, but not sent" in caplog.text


def test_what_tries_or_selects_samples_reads_all_of_them(place: Place) -> None:
    place.check()
    spoil(place.path)
    how = DatasetConfig(path=place.path)
    source = locate(how)
    memory = CheckMemory(place.kept, how, source.files)
    assert select(source.reader, SelectConfig(), None, memory.check)[0].count == COUNT
    for config, examine in ((SelectConfig(limit=1), None), (SelectConfig(), id)):
        with pytest.raises(DatasetError):
            select(source.reader, config, examine, memory.check)


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda text: text[:-1],
        lambda text: text.replace(b'"schema_version":1', b'"schema_version":2'),
        lambda text: text.replace(b'"count":20', b'"count":0'),
        lambda text: text.replace(b'"sha256":"', b'"sha256":"no'),
        lambda _: b"[]",
        lambda _: b"\xff",
    ],
    ids=["empty", "torn", "newer", "count", "digest", "list", "bytes"],
)
def test_a_damaged_or_newer_memory_is_ignored(
    place: Place, damage: Callable[[bytes], bytes], capfd: pytest.CaptureFixture[str]
) -> None:
    first = place.check()
    memory = place.memory()
    whole = memory.read_bytes()
    memory.write_bytes(damage(whole))
    assert place.check() == first
    assert memory.read_bytes() == whole, "it is written anew"
    assert capfd.readouterr() == ("", "")


def in_the_way(place: Place) -> None:
    place.kept.write_text("a file")


def without_a_root(place: Place) -> None:
    place.root.rmdir()


@pytest.mark.parametrize("how", [in_the_way, without_a_root])
def test_what_cannot_be_remembered_is_no_fault(place: Place, how: Callable[[Place], None]) -> None:
    how(place)
    before = sorted(place.path.parent.rglob("*"))
    assert place.check().count == COUNT
    assert sorted(place.path.parent.rglob("*")) == before


@pytest.mark.skipif(os.name == "nt", reason="modes are of POSIX")
def test_only_the_owner_can_read_it(place: Place) -> None:
    place.check()
    assert [oct(path.stat().st_mode & 0o777) for path in (place.kept, place.memory())] == [
        "0o700",
        "0o600",
    ]
