"""A format is one reader: all the rest of a run works with it."""

from __future__ import annotations

import gzip
import json
from typing import IO, TYPE_CHECKING, Any

import pytest

from conftest import rows
from lm_eval_so import ChatResponse, RunConfig, run
from lm_eval_so.runner.config.schema import DatasetConfig
from lm_eval_so.runner.dataset.base import FileReader, Record
from lm_eval_so.runner.dataset.check import check
from lm_eval_so.runner.dataset.reader import read_checked, read_samples
from lm_eval_so.runner.dataset.registry import FORMATS, Format
from lm_eval_so.runner.dataset.source import locate
from lm_eval_so.runner.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lm_eval_so import RunRequest

CONFIG = RunConfig(backend="own", model="m")


class CardReader(FileReader):
    """``id<TAB>question``, a card a line."""

    def records(self, file: IO[bytes]) -> Iterator[Record]:
        for number, line in enumerate(file, start=1):
            where = f"{self.path} card {number}"
            identity, tab, question = line.decode().rstrip("\n").partition("\t")
            if not tab:
                yield Record(where, ValueError("the tab is missing"))
                continue
            messages = [{"role": "user", "content": question}]
            yield Record(where, {"id": identity, "messages": messages})


@pytest.fixture(autouse=True)
def _cards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FORMATS, "cards", Format((".cards", ".cards.gz"), CardReader))


def cards(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def reader(path: Path) -> CardReader:
    return CardReader(path)


def test_a_run_of_another_format_is_answered_and_resumed(tmp_path: Path) -> None:
    asked: list[Any] = []

    async def send(request: RunRequest) -> ChatResponse:
        asked.append(request.messages[0]["content"])
        return ChatResponse(text="fine")

    path = cards(tmp_path / "quiz.cards", "a\tWhat?", "b\tWhy?")
    first = run(path, CONFIG, backend=send)
    assert (first.exit_code, sorted(asked)) == (0, ["What?", "Why?"])
    assert first.run_dir.parent.name == "quiz"
    dataset = json.loads(first.metadata_path.read_text())["dataset"]
    assert (dataset["path"], dataset["sample_count"]) == (str(path), 2)

    cards(path, "a\tWhat?", "b\tWhy?", "c\tHow?")
    again = run(path, CONFIG, backend=send)
    assert (again.run_dir, asked[2:]) == (first.run_dir, ["How?"])
    assert [row["sample_id"] for row in rows(again.results_path)] == ["a", "b", "c"]


def test_the_same_samples_as_json_lines_are_the_same_questions(tmp_path: Path) -> None:
    asked = 0

    async def send(_request: RunRequest) -> ChatResponse:
        nonlocal asked
        asked += 1
        return ChatResponse(text="fine")

    sample = {"id": "a", "messages": [{"role": "user", "content": "Why? 안녕"}]}
    (tmp_path / "d.jsonl").write_text(json.dumps(sample))
    path = cards(tmp_path / "d.cards", "a\tWhy? 안녕")
    for dataset in (path, tmp_path / "d.jsonl"):
        report = run(dataset, CONFIG, backend=send, output_dir=tmp_path / "run")
        assert report.exit_code == 0
    assert asked == 1


@pytest.mark.parametrize("name", ["test.cards", "test.cards.gz"])
def test_a_directory_may_hold_any_format(tmp_path: Path, name: str) -> None:
    (tmp_path / "d").mkdir()
    path = tmp_path / "d" / name
    card = b"a\tWhat?\n"
    path.write_bytes(gzip.compress(card) if name.endswith(".gz") else card)
    source = locate(DatasetConfig(path=tmp_path / "d"))
    assert (source.path, source.id) == (path, "d")
    assert [sample.id for sample in read_samples(source.reader)] == ["a"]


def test_json_lines_come_first_in_a_directory(tmp_path: Path) -> None:
    for name in ("test.cards", "test.jsonl"):
        (tmp_path / name).touch()
    assert locate(DatasetConfig(path=tmp_path)).path == tmp_path / "test.jsonl"


@pytest.mark.parametrize("path", ["d.txt", "d"])
def test_an_error_names_every_suffix_that_is_read(tmp_path: Path, path: str) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d.txt").touch()
    with pytest.raises(
        DatasetError, match=r"\.jsonl, \S*\.jsonl\.gz, \S*\.cards or \S*\.cards\.gz"
    ):
        locate(DatasetConfig(path=tmp_path / path))


def test_errors_name_the_place_in_the_words_of_the_format(tmp_path: Path) -> None:
    path = cards(tmp_path / "d.cards", "a\tx", "no tab", "\ty", "a\tz")
    with pytest.raises(DatasetError) as raised:
        check(reader(path))
    assert str(raised.value).splitlines() == [
        f"{path} card 2: the tab is missing",
        f"{path} card 3: id must be a non-empty string, got ''",
        f"{path} card 4: duplicate id 'a', first at {path} card 1",
    ]


def test_ten_errors_are_told_at_once(tmp_path: Path) -> None:
    path = cards(tmp_path / "d.cards", *(["no tab"] * 20))
    with pytest.raises(DatasetError) as raised:
        check(reader(path))
    *told, last = str(raised.value).splitlines()
    assert (len(told), last) == (10, "stopped after 10 errors")


def test_bytes_that_are_no_text_are_told_by_the_path(tmp_path: Path) -> None:
    path = tmp_path / "d.cards"
    path.write_bytes(b"a\t\xff\n")
    with pytest.raises(DatasetError, match=r"d\.cards cannot be read: .*0xff"):
        check(reader(path))


class OddReader(FileReader):
    """One record, whatever the file holds."""

    value: Any = None

    def records(self, file: IO[bytes]) -> Iterator[Record]:  # noqa: ARG002 - the seam's
        message = {"role": "user", "content": "x"}
        yield Record("here", {"id": "a", "messages": [message], "expected": self.value})


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        pytest.param({1, 2}, "a value cannot be written as JSON: .*set", id="set"),
        pytest.param(
            "\ud83d", "a value cannot be written as JSON: .*surrogates", id="half-a-character"
        ),
        pytest.param(float("nan"), "expected is NaN", id="nan"),
    ],
)
def test_a_value_that_json_cannot_hold_is_told(
    tmp_path: Path, value: object, sentence: str
) -> None:
    odd = OddReader(tmp_path / "d")
    odd.path.touch()
    odd.value = value
    with pytest.raises(DatasetError, match=rf"^here: {sentence}"):
        check(odd)


def test_records_are_read_as_they_are_asked_for(tmp_path: Path) -> None:
    path = cards(tmp_path / "d.cards", "a\tx", "no tab")
    samples = read_samples(reader(path))
    assert next(samples).id == "a"
    with pytest.raises(DatasetError, match="card 2: the tab is missing"):
        next(samples)


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(["a\tx"], id="shrunk"),
        pytest.param(["a\tx", "b\ty", "c\tz"], id="grown"),
        pytest.param(["a\tx", "b\tother"], id="another-question"),
        pytest.param(["a\tx", "no tab"], id="a-record-that-is-no-sample"),
    ],
)
def test_a_change_after_the_check_is_found(tmp_path: Path, lines: list[str]) -> None:
    path = cards(tmp_path / "d.cards", "a\tx", "b\ty")
    checked = check(reader(path))
    assert [sample.id for sample in read_checked(reader(path), checked)] == ["a", "b"]
    cards(path, *lines)
    with pytest.raises(DatasetError, match=r"d\.cards has changed since it was checked"):
        list(read_checked(reader(path), checked))
