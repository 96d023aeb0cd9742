"""Rows become samples: by names that are known, by what the config says, with ids that stay."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from lm_eval_so import ChatResponse, RunConfig, run
from lm_eval_so.runner.config.schema import DatasetColumns, DatasetConfig
from lm_eval_so.runner.dataset.check import check
from lm_eval_so.runner.dataset.jsonl import JsonlReader
from lm_eval_so.runner.dataset.source import locate
from lm_eval_so.runner.errors import DatasetError
from support.datasets import questions_of, samples_of

if TYPE_CHECKING:
    from pathlib import Path

    from lm_eval_so import RunRequest


def rows(path: Path, *found: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in found))
    return path


def refusal(path: Path, **config: object) -> str:
    with pytest.raises(DatasetError) as raised:
        samples_of(path, **config)
    return str(raised.value).replace(f"{path.parent}/", "")


@pytest.mark.parametrize(
    "name",
    [
        "question",
        "input",
        "prompt",
        "query",
        "instruction",
        "user",
        "질문",
        "입력",
        "문제",
        "Query",
    ],
)
def test_a_question_is_found_by_its_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "q.csv").write_text(f"{name},x\nWhy?,1\n")
    assert questions_of(tmp_path / "q.csv") == ["Why?"]


@pytest.mark.parametrize(
    "name",
    ["answer", "expected", "target", "ideal", "output", "label", "reference", "정답", "답변"],
)
def test_what_is_expected_is_found_by_its_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "q.csv").write_text(f"question,{name}\nWhy?,So.\n")
    assert samples_of(tmp_path / "q.csv")[0].expected == "So."


@pytest.mark.parametrize("names", ["id,system,tags", "번호,시스템,분류", "ID,System,Category"])
def test_the_rest_is_found_by_its_name(tmp_path: Path, names: str) -> None:
    (tmp_path / "q.csv").write_text(f'question,{names}\nWhy?,7,be brief,"a, b"\n')
    (sample,) = samples_of(tmp_path / "q.csv")
    assert (sample.id, sample.tags, sample.metadata) == ("7", ["a", "b"], {})
    assert sample.messages[0] == {"role": "system", "content": "be brief"}


def test_a_guess_is_said_aloud_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "q.csv").write_text("question,answer,note\n" + "Why?,So.,x\n" * 5)
    with caplog.at_level(logging.INFO, "lm_eval_so"):
        samples_of(tmp_path / "q.csv")
    (record,) = caplog.records
    assert "input from column `question`, expected from column `answer`" in record.getMessage()


def test_what_is_told_to_be_is_not_guessed_aloud(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "q.csv").write_text("text\nWhy?\n")
    with caplog.at_level(logging.INFO, "lm_eval_so"):
        assert questions_of(tmp_path / "q.csv", columns={"input": "text"}) == ["Why?"]
    assert caplog.records == []


def test_a_name_in_the_config_ends_an_ambiguity(tmp_path: Path) -> None:
    (tmp_path / "q.csv").write_text("question,prompt,answer,label\na,b,c,d\n")
    assert "dataset.columns.input=question" in refusal(tmp_path / "q.csv")
    told = refusal(tmp_path / "q.csv", columns={"input": "prompt"})
    assert told == (
        "q.csv:2: `answer` and `label` may both be the expected; type "
        "dataset.columns.expected=answer"
    )
    (sample,) = samples_of(tmp_path / "q.csv", columns={"input": "prompt", "expected": "label"})
    assert (sample.messages[0]["content"], sample.expected) == ("b", "d")
    assert sample.metadata == {"question": "a", "answer": "c"}


def test_an_empty_name_says_that_there_is_no_such_column(tmp_path: Path) -> None:
    (tmp_path / "q.csv").write_text("question,answer\na,b\n")
    (sample,) = samples_of(tmp_path / "q.csv", columns={"expected": ""})
    assert (sample.expected, sample.metadata) == (None, {"answer": "b"})


@pytest.mark.parametrize(
    ("metadata", "kept"),
    [
        (None, {"a": "1", "b": '{"c": 2}'}),
        (["a"], {"a": "1"}),
        ([], {}),
        ("b", {"c": 2}),
        ("a", {"a": "1"}),
    ],
)
def test_columns_are_kept_as_metadata_unless_some_are_named(
    tmp_path: Path, metadata: object, kept: dict[str, Any]
) -> None:
    (tmp_path / "q.csv").write_text('question,a,b\nx,1,"{""c"": 2}"\n')
    (sample,) = samples_of(tmp_path / "q.csv", columns={"metadata": metadata})
    assert sample.metadata == kept


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("{{ question }} ({{ topic }})", "Why? (sky)"),
        ("{% if hint %}{{ hint }}{% endif %}{{ question | upper }}", "WHY?"),
        ("question ~ ' in short'", "Why? in short"),
        ('{{ row["long name"] }}', "long"),
        ("long name", "long"),
        ("a.b", "dotted"),
    ],
)
def test_a_column_may_be_an_expression(tmp_path: Path, text: str, question: str) -> None:
    (tmp_path / "q.csv").write_text("question,topic,hint,long name,a.b\nWhy?,sky,,long,dotted\n")
    assert questions_of(tmp_path / "q.csv", columns={"input": text}) == [question]


def test_an_expression_may_give_a_value_that_is_no_text(tmp_path: Path) -> None:
    path = rows(tmp_path / "q.jsonl", {"question": "x", "choices": ["a", "b"], "right": 1})
    (sample,) = samples_of(path, columns={"expected": "choices[right]", "tags": "choices + ['c']"})
    assert (sample.expected, sample.tags) == ("b", ["a", "b", "c"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "{{ question",
            "neither a column nor a Jinja expression: unexpected end of template",
        ),
        ("{{ qestion }}", "'qestion' is undefined (columns: `question`, `answer`)"),
        ("qestion", "there is no column 'qestion'; did you mean 'question'?"),
        ("{{ question.__class__.__mro__ }}", "access to attribute '__class__'"),
        ("question / 2", "unsupported operand"),
    ],
)
def test_an_expression_that_fails_is_told_with_the_row(
    tmp_path: Path, text: str, told: str
) -> None:
    (tmp_path / "q.csv").write_text("question,answer\na,b\n")
    shown = refusal(tmp_path / "q.csv", columns={"input": text})
    assert shown.startswith("q.csv:2: dataset.columns.input: ")
    assert told in shown


def test_a_key_that_no_line_of_json_has_is_told(tmp_path: Path) -> None:
    path = rows(tmp_path / "q.jsonl", {"question": "a"}, {"question": "b", "note": "x"})
    assert refusal(path, columns={"expected": "anser"}) == (
        "dataset.columns.expected: no row has a key 'anser'"
    )
    assert samples_of(path, columns={"expected": "note"})[1].expected == "x"


@pytest.mark.parametrize("kept", ["nope", ["note", "nope"]])
def test_a_column_of_metadata_that_is_not_there_is_told(
    tmp_path: Path, kept: str | list[str]
) -> None:
    path = rows(tmp_path / "q.jsonl", {"question": "a"}, {"question": "b", "note": "x"})
    assert refusal(path, columns={"metadata": kept}) == (
        "dataset.columns.metadata: no row has a key 'nope'"
    )
    (tmp_path / "q.csv").write_text("question,note\na,b\n")
    told = "dataset.columns.metadata: there is no column 'nope'; did you mean 'note'?"
    assert told in refusal(tmp_path / "q.csv", columns={"metadata": kept})
    assert samples_of(path, columns={"metadata": ["note"]})[1].metadata == {"note": "x"}
    assert samples_of(path, columns={"metadata": ""})[1].metadata == {}


def test_each_line_of_json_may_have_keys_of_its_own(tmp_path: Path) -> None:
    path = rows(
        tmp_path / "q.jsonl",
        {"question": "a", "level": 1},
        {"prompt": "b", "answer": "x"},
        {"id": "c", "messages": [{"role": "user", "content": "d"}], "more": 1},
    )
    samples = samples_of(path)
    assert [sample.messages[-1]["content"] for sample in samples] == ["a", "b", "d"]
    assert (samples[0].metadata, samples[1].expected) == ({"level": 1}, "x")
    assert (samples[2].id, samples[2].model_extra) == ("c", {"more": 1})


def test_messages_in_a_cell_may_be_json_text(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    cell = json.dumps(turns).replace('"', '""')
    (tmp_path / "q.csv").write_text(f'id,messages,tools\nx,"{cell}","[{{""type"": ""f""}}]"\n')
    (sample,) = samples_of(tmp_path / "q.csv")
    assert (sample.messages, sample.tools) == (turns, [{"type": "f"}])


def test_samples_in_json_lines_go_through_untouched(tmp_path: Path) -> None:
    path = tmp_path / "test.jsonl"
    path.write_text(
        '{"id":"a",  "messages":[{"role":"user","content":"x"}],"question":"y","answer":1}\n'
        '{"messages":[{"role":"user","content":"\\uac00"}], "id": 7}\n'
    )
    with (
        locate(DatasetConfig(path=path)).reader.opened() as mapped,
        JsonlReader(path).opened() as plain,
    ):
        assert list(mapped.records) == list(plain.records)
    assert check(locate(DatasetConfig(path=path)).reader) == check(JsonlReader(path))


def test_lines_of_json_that_hold_no_question_are_told_as_ever(tmp_path: Path) -> None:
    path = rows(tmp_path / "q.jsonl", {"id": "a", "text": "x"})
    assert refusal(path).startswith("q.jsonl:1: messages is missing; found `text`; it needs")


def ids(path: Path, *lines: str, header: str = "question,answer") -> dict[str, str]:
    """The id of each question."""
    path.write_text("\n".join([header, *lines]) + "\n")
    return {str(s.messages[-1]["content"]): s.id for s in samples_of(path)}


def test_an_id_made_of_content_is_moved_by_no_other_row(tmp_path: Path) -> None:
    path = tmp_path / "q.csv"
    first = ids(path, "a,1", "b,2")
    assert ids(path, "c,3", "b,2", "a,1").items() > first.items()
    assert ids(path, "a,1", "b,other")["b"] != first["b"]


def test_a_note_that_is_added_or_edited_changes_no_id(tmp_path: Path) -> None:
    path = tmp_path / "q.csv"
    first = ids(path, "a,1", "b,2")
    assert ids(path, "2,x,b", "1,y,a", header="answer,note,question") == first


def test_rows_with_the_same_content_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "q.csv"
    path.write_text("question\n" + "a\nb\n" * 3)
    found = [sample.id for sample in samples_of(path)]
    a, b = found[:2]
    assert found[2:] == [f"{a}-2", f"{b}-2", f"{a}-3", f"{b}-3"]


def test_an_empty_id_is_made_of_the_content(tmp_path: Path) -> None:
    (tmp_path / "q.csv").write_text("id,question\nx,a\n,b\n")
    first, second = (sample.id for sample in samples_of(tmp_path / "q.csv"))
    assert (first, len(second)) == ("x", 16)


def test_a_row_that_is_inserted_is_the_only_one_asked(tmp_path: Path) -> None:
    asked: list[object] = []

    async def send(request: RunRequest) -> ChatResponse:
        asked.append(request.messages[-1]["content"])
        return ChatResponse(text="fine")

    config = RunConfig(backend="own", model="m")
    path = tmp_path / "q.csv"
    path.write_text("question,note\na,1\nb,2\n")
    first = run(path, config, backend=send)
    path.write_text("question,note\nb,edited\nnew,3\na,1\n")
    second = run(path, config, backend=send)
    assert (first.exit_code, second.exit_code, first.run_dir) == (0, 0, second.run_dir)
    assert (sorted(map(str, asked[:2])), asked[2:]) == (["a", "b"], ["new"])


def test_each_field_of_the_config_is_one_of_a_mapping() -> None:
    from lm_eval_so.runner.dataset.mapping.columns import FIELDS  # noqa: PLC0415 - beside its use

    assert set(DatasetColumns.model_fields) == set(FIELDS)
