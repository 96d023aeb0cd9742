"""Files that samples name: their bytes are sent, their paths are kept, their content is the key."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from conftest import rows
from lm_eval_so import BackendError, ChatResponse, Message, RunConfig, RunReport, TestSample, run
from lm_eval_so.runner.config.schema import DatasetConfig
from lm_eval_so.runner.dataset.check import check
from lm_eval_so.runner.dataset.jsonl import JsonlReader
from lm_eval_so.runner.dataset.reader import read_samples
from lm_eval_so.runner.dataset.source import locate
from lm_eval_so.runner.errors import DatasetError
from lm_eval_so.runner.request.build import RequestBuilder
from lm_eval_so.runner.request.media import filled

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lm_eval_so import RunRequest

CONFIG = RunConfig(backend="own", model="m")
PNG = b"\x89PNG\r\n\x1a\nbytes"


def image(path: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": f"file:{path}", "detail": "low"}}


def dataset(folder: Path, *parts: dict[str, Any], name: str = "test.jsonl") -> Path:
    content = [{"type": "text", "text": "What is it?"}, *parts]
    sample = {"id": "a", "messages": [{"role": "user", "content": content}]}
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(sample) + "\n")
    return folder / name


def ask(path: Path | DatasetConfig) -> tuple[RunReport, list[Any]]:
    """A run, and the parts that were sent after the first."""
    sent: list[Any] = []

    async def send(request: RunRequest) -> ChatResponse:
        sent.extend(request.messages[0]["content"][1:])  # type: ignore[index]
        return ChatResponse(text="fine")

    return run(path, CONFIG, backend=send, output_root="out"), sent


def test_the_bytes_of_a_file_are_sent_and_its_path_is_kept(tmp_path: Path) -> None:
    path = dataset(
        tmp_path / "d",
        image("pictures/cat.png"),
        {"type": "input_audio", "input_audio": {"data": "file:a.wav"}},
        {"type": "file", "file": {"file_data": "file:b.pdf"}},
    )
    (tmp_path / "d" / "pictures").mkdir()
    for name in ("pictures/cat.png", "a.wav", "b.pdf"):
        (tmp_path / "d" / name).write_bytes(PNG)
    encoded = base64.b64encode(PNG).decode()
    report, sent = ask(path)
    assert report.exit_code == 0
    assert sent == [
        {
            "type": "image_url",
            "image_url": {"url": f"data:image/png;base64,{encoded}", "detail": "low"},
        },
        {"type": "input_audio", "input_audio": {"data": encoded, "format": "wav"}},
        {
            "type": "file",
            "file": {"file_data": f"data:application/pdf;base64,{encoded}", "filename": "b.pdf"},
        },
    ]
    (line,) = rows(report.results_path)
    kept = line["request_messages"][0]["content"][1]["image_url"]["url"]
    assert kept.startswith("file:pictures/cat.png#sha256=")
    assert encoded not in json.dumps(line)


def test_another_content_is_another_question_and_another_name_is_not(tmp_path: Path) -> None:
    path = dataset(tmp_path / "d", image("cat.png"))
    (tmp_path / "d" / "cat.png").write_bytes(PNG)
    assert len(ask(path)[1]) == 1
    (tmp_path / "d" / "cat.png").rename(tmp_path / "d" / "tom.png")
    dataset(tmp_path / "d", image("tom.png"))
    assert ask(path)[1] == []
    (tmp_path / "d" / "tom.png").write_bytes(PNG + b"more")
    assert len(ask(path)[1]) == 1


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("cat.png", "file 'cat.png' does not exist in "),
        (".", "file '.' does not exist in "),
        ("../secret.png", "file '../secret.png' is outside the folder of the dataset"),
        ("link.png", "file 'link.png' is outside the folder of the dataset"),
        ("///etc/hostname", "file '///etc/hostname' is outside the folder of the dataset"),
    ],
)
def test_a_file_that_cannot_be_sent_is_found_by_the_check(
    tmp_path: Path, named: str, told: str
) -> None:
    path = dataset(tmp_path / "d", image(named))
    (tmp_path / "secret.png").write_bytes(PNG)
    (tmp_path / "d" / "link.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(DatasetError) as raised:
        check(locate(DatasetConfig(path=path)).reader)
    assert str(raised.value).startswith(f"{path}:1: {told}")


@pytest.mark.parametrize("named", ["../out side.png", "//{}/out%20side.png"])
def test_a_file_outside_is_sent_where_that_is_allowed(tmp_path: Path, named: str) -> None:
    path = dataset(tmp_path / "d", image(named.format(tmp_path)))
    (tmp_path / "out side.png").write_bytes(PNG)
    report, sent = ask(DatasetConfig(path=path, allow_outside=True))
    assert (report.exit_code, len(sent)) == (0, 1)
    assert sent[0]["image_url"]["url"].startswith("data:image/png;base64,")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda path: path.write_bytes(b"other"), "has changed since the dataset was checked"),
        (lambda path: path.unlink(), "cannot be read: No such file or directory"),
    ],
    ids=["changed", "gone"],
)
def test_a_file_that_is_another_one_by_now_is_not_sent(
    tmp_path: Path, change: Callable[[Path], object], told: str
) -> None:
    path = dataset(tmp_path / "d", image("cat.png"))
    (tmp_path / "d" / "cat.png").write_bytes(PNG)
    (sample,) = read_samples(locate(DatasetConfig(path=path)).reader)
    assert filled(sample.messages, path.parent) != sample.messages
    change(tmp_path / "d" / "cat.png")
    with pytest.raises(BackendError, match=f"file 'cat.png' {told}") as raised:
        filled(sample.messages, path.parent)
    assert (raised.value.retryable, raised.value.sample_fault) == (False, True)


def test_a_file_that_nobody_has_checked_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(PNG)
    messages = [Message(role="user", content=[image("cat.png")])]
    assert filled(messages, tmp_path) == messages


def test_a_sample_of_another_address_or_of_text_is_left_as_it_is(tmp_path: Path) -> None:
    address = {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}
    words = {"type": "text", "text": "file:cat.png"}
    path = dataset(tmp_path / "d", address, words)
    assert ask(path)[1] == [address, words]
    source = locate(DatasetConfig(path=path))
    assert check(source.reader) == check(JsonlReader(path))


def test_files_of_messages_in_a_table_are_sent_too(tmp_path: Path) -> None:
    path = dataset(tmp_path / "d", image("cat.png"), name="one.json")
    (tmp_path / "d" / "cat.png").write_bytes(PNG)
    path.write_text(json.dumps([json.loads(path.read_text())]))
    assert ask(path)[1][0]["image_url"]["url"].startswith("data:image/png;base64,")


@pytest.mark.parametrize("text", ['"file:' * 100_000, '"file:x#sha256=' * 100_000])
def test_a_long_text_that_looks_like_files_takes_time_by_its_length_alone(text: str) -> None:
    mark = f"file:a.png#sha256={'0' * 64}"
    one, other = (
        TestSample(id="s", messages=[Message(role="user", content=[{"a": name}, {"b": text}])])
        for name in (mark, mark.replace("a.png", "b.png"))
    )
    requests = RequestBuilder(RunConfig(backend="b", model="m"), endpoint="")
    assert requests.key(one) == requests.key(other)
