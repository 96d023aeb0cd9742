"""What exporters, other tools and other encodings leave: taken, or refused with what would help."""

from __future__ import annotations

import json
import logging
import os
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lm_eval_so.runner.config.schema import DatasetConfig
from lm_eval_so.runner.dataset.check import check
from lm_eval_so.runner.dataset.jsonl import JsonlReader
from lm_eval_so.runner.dataset.reader import read_samples
from lm_eval_so.runner.dataset.source import locate
from lm_eval_so.runner.errors import DatasetError
from lm_eval_so.runner.models import RunConfig
from lm_eval_so.runner.request.key import RequestKeys
from lm_eval_so.runner.text.once_per_kind import OncePerKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from lm_eval_so.runner.models import TestSample

USER = {"role": "user", "content": "x"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}


def line(**changed: object) -> str:
    return json.dumps({"id": "a", "messages": [USER], **changed})


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., list[TestSample]]:
    """Checks and reads a file of these lines."""

    def read(*lines: str | bytes, name: str = "d.jsonl") -> list[TestSample]:
        path = tmp_path / name
        path.write_bytes(b"\n".join(x.encode() if isinstance(x, str) else x for x in lines))
        check(JsonlReader(path))
        return list(read_samples(JsonlReader(path)))

    return read


@pytest.fixture
def refused(read: Callable[..., list[TestSample]]) -> Callable[..., str]:
    def refused(*lines: str | bytes) -> str:
        with pytest.raises(DatasetError) as error:
            read(*lines)
        return str(error.value)

    return refused


@pytest.mark.parametrize("key", ["tags", "metadata", "expected", "tools", "tool_choice"])
def test_a_null_is_a_key_that_is_not_there(read: Callable[..., list[TestSample]], key: str) -> None:
    (with_null,) = read(line(**{key: None}))
    (without,) = read(line())
    assert with_null == without


@pytest.mark.parametrize("key", ["name", "tool_calls", "tool_call_id"])
def test_a_null_in_a_message_is_not_sent(read: Callable[..., list[TestSample]], key: str) -> None:
    (sample,) = read(line(messages=[{**USER, key: None}]))
    assert sample.messages == [USER]


def test_a_null_content_of_an_assistant_is_sent(read: Callable[..., list[TestSample]]) -> None:
    """The form that Chat Completions gives to a turn that only calls tools."""
    turn = {"role": "assistant", "content": None, "tool_calls": [{"id": "c"}]}
    (sample,) = read(line(messages=[USER, turn]))
    assert sample.messages[1] == turn


@pytest.mark.parametrize(
    ("given", "found"), [(7, "7"), (0, "0"), (-3, "-3"), (10**30, "1" + "0" * 30), ("007", "007")]
)
def test_an_integer_id_is_its_text(
    read: Callable[..., list[TestSample]], given: object, found: str
) -> None:
    (sample,) = read(line(id=given))
    assert sample.id == found


def test_an_integer_and_its_text_are_one_id(refused: Callable[..., str]) -> None:
    shown = refused(line(id=7), line(id="7"))
    assert re.search(r":2: duplicate id '7', first at \S+d\.jsonl:1$", shown)


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        pytest.param({"messages": [{**USER, "uid": 2**64}]}, "messages.0.uid", id="key-of-its-own"),
        pytest.param({"messages": [{**USER, "uid": -(2**63) - 1}]}, "messages.0.uid", id="below"),
        pytest.param(
            {"messages": [{**USER, "content": [{"type": "x", "n": 10**40}]}]},
            "messages.0.content.0.n",
            id="content-part",
        ),
        pytest.param({"tools": [{**TOOL, "n": 10**20}]}, "tools.0.n", id="tool"),
    ],
)
def test_an_integer_that_cannot_be_sent_is_told_by_the_check(
    refused: Callable[..., str], changed: dict[str, Any], where: str
) -> None:
    assert f":1: {where} does not fit in 64 bits; write it as a string" in refused(line(**changed))


@pytest.mark.parametrize("number", [2**64 - 1, -(2**63), 10**18])
def test_an_integer_of_64_bits_is_sent(read: Callable[..., list[TestSample]], number: int) -> None:
    (sample,) = read(line(messages=[{**USER, "uid": number}]))
    assert RequestKeys(RunConfig(backend="b", model="m"), "").key(sample.messages)
    assert sample.messages[0]["uid"] == number  # type: ignore[typeddict-item]


def test_an_expected_answer_may_be_any_integer(read: Callable[..., list[TestSample]]) -> None:
    (sample,) = read(line(expected=10**40))
    assert sample.expected == 10**40


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('{"id": "a", "messages": [{"role": "user", "content": "x", "n": %s}]}', "messages.0.n"),
        ('{"id": "a", "messages": [{"role": "user", "content": "x"}], "expected": %s}', "expected"),
        (
            '{"id": "a", "messages": [{"role": "user", "content": "x"}], "metadata": {"n": [%s]}}',
            "metadata.n.0",
        ),
    ],
)
def test_nan_is_told_and_never_becomes_null(
    refused: Callable[..., str], text: str, word: str, where: str
) -> None:
    assert f":1: {where} is {word}, which is not a JSON number" in refused(text % word)


def test_a_number_beyond_any_float_is_infinity(refused: Callable[..., str]) -> None:
    assert "expected is Infinity" in refused(line(expected=7).replace("7", "1e400"))


def test_the_words_nan_and_infinity_in_a_text_are_text(
    read: Callable[..., list[TestSample]],
) -> None:
    content = "NaN, Infinity, 1e400, 12345678901234567890123"
    (sample,) = read(line(messages=[{"role": "user", "content": content}]))
    assert sample.messages[0]["content"] == content


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ({"id": "a", "question": "x"}, "messages is missing; found `question`; it needs messages"),
        ({"id": "a", "prompt": "x", "n": 1}, "found `prompt`;"),
        ({"id": "a", "conversations": []}, "found `conversations`;"),
        ({"id": "a", "foo": 1, "bar": 2}, "found `id`, `foo`, `bar`;"),
        (
            {"question_id": 3, "messages": [USER]},
            "id is missing; found `question_id`; it needs id",
        ),
        (
            {"id": "a", "messages": [{"from": "human", "value": "x"}]},
            "found `from`, but a message is",
        ),
        ({"id": "a", "messages": [{"role": "human", "content": "x"}]}, "did you mean 'user'?"),
        ({"id": "a", "messages": [{"role": "Bot", "content": "x"}]}, "did you mean 'assistant'?"),
    ],
)
def test_an_error_says_what_was_found(
    refused: Callable[..., str], text: dict[str, Any], hint: str
) -> None:
    assert hint in refused(json.dumps(text))


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        pytest.param(f"[{line()}]", "this is a JSON array", id="array"),
        pytest.param(f"[\n  {line()}\n]", "this is a JSON array", id="array-on-lines"),
        pytest.param(json.dumps(json.loads(line()), indent=1), "over many lines", id="indented"),
        pytest.param(b"\x1f\x8b\x08rest", "this is a gzip file", id="gzip"),
        pytest.param(b"PAR1rest", "this is a Parquet file", id="parquet"),
        pytest.param(b"PK\x03\x04rest", "this is a zip file", id="xlsx"),
        pytest.param("<html>", "this is a web page", id="html"),
        pytest.param("<<<<<<< HEAD\n", "a Git merge conflict", id="conflict"),
        pytest.param("version https://git-lfs.github.com/spec/v1\n", "git lfs pull", id="lfs"),
        pytest.param(b"SQLite format 3\x00", "an SQLite file", id="sqlite"),
        pytest.param(b"\x28\xb5\x2f\xfdrest", "unzstd FILE", id="zstd"),
        pytest.param(b"BZh9rest", "bunzip2 FILE", id="bzip2"),
        pytest.param(b"\x80\x04\x95rest", "a Python pickle", id="pickle"),
        pytest.param(line().encode("utf-16"), "looks like UTF-16", id="utf-16"),
    ],
)
def test_a_file_of_another_kind_is_told_once(
    refused: Callable[..., str], content: str | bytes, hint: str
) -> None:
    shown = refused(content)
    assert hint in shown
    assert shown.count("\n") == 0


@pytest.mark.parametrize(
    ("text", "encoding", "name"),
    [
        ("환불은 언제 되나요? 결제 내역을 확인해 주세요.", "cp949", "CP949"),
        ("返金はいつですか。ありがとうございます。", "shift_jis", "Shift_JIS"),
        ("退款什么时候到账请帮我确认一下订单", "gb18030", "GB18030"),
        ("Où est mon café ? Ça coûte 3 €.", "cp1252", "CP1252"),
        ("Когда мне вернут деньги за заказ?", "cp1251", "CP1251"),
        ("退款什麼時候會到帳請幫我確認一下訂單", "big5", "BIG5"),
    ],
)
def test_another_encoding_is_named(
    refused: Callable[..., str], text: str, encoding: str, name: str
) -> None:
    sample = {"id": "b", "messages": [{"role": "user", "content": text}]}
    written = json.dumps(sample, ensure_ascii=False).encode(encoding)
    shown = refused(line(), written)
    assert f":2: not UTF-8 (looks like {name}): iconv -f {name} -t UTF-8" in shown


@pytest.mark.parametrize(
    "own",
    [
        {"tools": [TOOL]},
        {"tools": [TOOL], "tool_choice": "required"},
        {"response_format": {"type": "json_object"}},
        {"tools": [TOOL], "parallel_tool_calls": False},
    ],
)
def test_what_a_sample_brings_for_its_request_is_part_of_the_question(
    read: Callable[..., list[TestSample]], own: dict[str, Any]
) -> None:
    (sample,) = read(line(**own))
    assert sample.parameters == own
    keys = RequestKeys(RunConfig(backend="b", model="m"), "")
    assert keys.key(sample.messages, sample.parameters) != keys.key(sample.messages)


def test_the_same_tools_of_the_config_and_of_the_sample_are_one_question(
    read: Callable[..., list[TestSample]],
) -> None:
    (sample,) = read(line(tools=[TOOL]))
    plain = RequestKeys(RunConfig(backend="b", model="m"), "")
    config = RunConfig(backend="b", model="m", parameters={"tools": [TOOL]})
    in_config = RequestKeys(config, "").key(sample.messages)
    assert plain.key(sample.messages, sample.parameters) == in_config


@pytest.mark.parametrize("empty", [[], None])
def test_no_tools_are_not_sent_and_change_no_key(
    read: Callable[..., list[TestSample]], empty: object
) -> None:
    (sample,) = read(line(tools=empty, response_format=None))
    assert sample.parameters == {}


@pytest.mark.parametrize("name", ["params", "parameters", "functions", "function_call"])
def test_what_is_not_sent_with_a_sample_is_refused(refused: Callable[..., str], name: str) -> None:
    shown = refused(line(**{name: {"temperature": 0}}))
    assert f":1: {name} of a sample is not sent: " in shown


def pipe(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(str(path))


@pytest.mark.parametrize(
    ("make", "kind"), [(pipe, "a pipe"), (unix_socket, "a socket"), (Path.mkdir, "a directory")]
)
@pytest.mark.parametrize("name", ["test.jsonl", "metadata.json"])
def test_what_is_no_regular_file_is_refused_before_it_is_opened(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Path], None],
    kind: str,
    name: str,
) -> None:
    monkeypatch.chdir(tmp_path)  # the address of a socket is short
    (tmp_path / "test.jsonl").write_text(line())
    (tmp_path / name).unlink(missing_ok=True)
    make(tmp_path / name)
    with pytest.raises(DatasetError, match=f"is {kind}, not a regular file"):
        locate(DatasetConfig(path=tmp_path))


@pytest.mark.parametrize("device", ["/dev/null", "/dev/zero"])
def test_a_device_is_refused(device: str) -> None:
    with pytest.raises(DatasetError, match="is a device, not a regular file"):
        locate(DatasetConfig(path=Path(device)))


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        pytest.param(line() + ",", "with a comma at its end", id="comma"),
        pytest.param(str(json.loads(line())), "written with Python's quotes", id="python"),
        pytest.param("# all of it", "a comment", id="comment"),
        pytest.param("\x00\x00", "with NUL bytes", id="nul"),
        pytest.param(line() + "\r" + line(id="b"), "with only CR", id="cr"),
        pytest.param(line(tags=["\ud83d"]), "with half of a character", id="surrogate"),
        pytest.param(line().encode("utf-16-le"), "in UTF-16", id="utf-16-without-a-mark"),
        pytest.param('{"id": "a", "mess', "EOF while parsing a string (column 17)", id="cut"),
    ],
)
def test_a_line_that_is_no_json_says_what_it_may_be(
    refused: Callable[..., str], text: str | bytes, hint: str
) -> None:
    shown = refused(text).splitlines()[0]
    assert ":1: not valid JSON: " in shown
    assert hint in shown


def test_messages_within_a_string_are_told(refused: Callable[..., str]) -> None:
    text = json.dumps({"id": "a", "messages": json.dumps([USER])})
    assert "this is JSON inside a string" in refused(text)


def test_files_that_were_joined_may_each_begin_with_a_mark(
    read: Callable[..., list[TestSample]],
) -> None:
    assert [sample.id for sample in read("\ufeff" + line(), "\ufeff" + line(id="b"))] == ["a", "b"]


def test_a_key_that_is_kept_and_looks_as_if_it_were_sent_is_told_once(
    read: Callable[..., list[TestSample]],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = logging.getLogger("lm_eval_so.runner.dataset.check")
    monkeypatch.setattr(log, "filters", [OncePerKind()])
    samples = read(line(temperature=0, system="be kind"), line(id="b", system="be kind"))
    assert samples[0].model_extra == {"temperature": 0, "system": "be kind"}
    (record,) = caplog.records
    assert ":1: system, temperature of a sample: kept, but not sent" in record.getMessage()
