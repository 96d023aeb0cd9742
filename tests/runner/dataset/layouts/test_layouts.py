"""The files of other tools: a golden row of each, in the words of its own documentation."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, get_args

import pytest
import yaml

from lm_eval_so.runner.config.schema import Layout
from lm_eval_so.runner.dataset.layouts.registry import LAYOUTS
from lm_eval_so.runner.errors import DatasetError
from lm_eval_so.runner.hydra_app.shipped import shipped
from support.datasets import samples_of

if TYPE_CHECKING:
    from pathlib import Path

SYSTEM = {"role": "system", "content": "Marv is sarcastic."}
USER = {"role": "user", "content": "What's the capital of France?"}
ANSWER = {"role": "assistant", "content": "Paris."}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TOOL = {"type": "function", "function": {"name": "f"}}

GOLDEN = [
    pytest.param(
        "openai_finetune",
        {"messages": [SYSTEM, USER, {**ANSWER, "weight": 1}]},
        {"messages": [SYSTEM, USER], "expected": "Paris."},
        id="openai_finetune",
    ),
    pytest.param(
        "openai_finetune",
        {"messages": [USER, ANSWER, USER], "source": "a"},
        {"messages": [USER, ANSWER, USER], "metadata": {"source": "a"}},
        id="openai_finetune-without-an-answer",
    ),
    pytest.param(
        "openai_finetune",
        {"messages": [USER, {"role": "assistant", "tool_calls": [CALL]}], "tools": [TOOL]},
        {"messages": [USER], "expected": [CALL], "tools": [TOOL]},
        id="openai_finetune-of-tool-calls",
    ),
    pytest.param(
        "sharegpt",
        {
            "id": "identity_0",
            "conversations": [
                {"from": "human", "value": "Who are you?"},
                {"from": "gpt", "value": "I am Vicuna."},
                {"from": "human", "value": "Have a nice day!"},
                {"from": "gpt", "value": "You too!"},
            ],
            "system": "Be polite.",
        },
        {
            "id": "identity_0",
            "messages": [
                {"role": "system", "content": "Be polite."},
                {"role": "user", "content": "Who are you?"},
                {"role": "assistant", "content": "I am Vicuna."},
                {"role": "user", "content": "Have a nice day!"},
            ],
            "expected": "You too!",
        },
        id="sharegpt",
    ),
    pytest.param(
        "alpaca",
        {"instruction": "Classify it.", "input": "A whale", "output": "Mammal"},
        {
            "messages": [{"role": "user", "content": "Classify it.\n\nA whale"}],
            "expected": "Mammal",
        },
        id="alpaca",
    ),
    pytest.param(
        "alpaca",
        {"instruction": "Name a fish.", "input": "", "output": "Cod", "text": "kept"},
        {
            "messages": [{"role": "user", "content": "Name a fish."}],
            "expected": "Cod",
            "metadata": {"text": "kept"},
        },
        id="alpaca-without-an-input",
    ),
    pytest.param(
        "alpaca",
        {"instruction": "And now?", "output": "x", "system": "s", "history": [["a", "b"]]},
        {
            "messages": [
                {"role": "system", "content": "s"},
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": "b"},
                {"role": "user", "content": "And now?"},
            ],
            "expected": "x",
        },
        id="alpaca-with-history",
    ),
    pytest.param(
        "openai_evals",
        {"input": [SYSTEM, USER], "ideal": ["Paris", "paris"]},
        {"messages": [SYSTEM, USER], "expected": ["Paris", "paris"]},
        id="openai_evals",
    ),
    pytest.param(
        "openai_evals",
        {"input": "2+2=", "ideal": "4"},
        {"messages": [{"role": "user", "content": "2+2="}], "expected": "4"},
        id="openai_evals-of-text",
    ),
    pytest.param(
        "inspect",
        {
            "id": 3,
            "input": "Which one?",
            "target": "B",
            "choices": ["x", "y"],
            "metadata": {"level": 2},
        },
        {
            "id": "3",
            "messages": [{"role": "user", "content": "Which one?"}],
            "expected": "B",
            "metadata": {"choices": ["x", "y"], "level": 2},
        },
        id="inspect",
    ),
    pytest.param(
        "inspect",
        {"input": [USER, ANSWER, USER], "target": ["a", "b"]},
        {"messages": [USER, ANSWER, USER], "expected": ["a", "b"]},
        id="inspect-of-messages",
    ),
]


@pytest.mark.parametrize("as_array", [False, True], ids=["lines", "array"])
@pytest.mark.parametrize(("layout", "row", "golden"), GOLDEN)
def test_a_row_of_another_tool_is_a_sample(
    tmp_path: Path, layout: str, row: dict[str, Any], golden: dict[str, Any], *, as_array: bool
) -> None:
    path = tmp_path / ("d.json" if as_array else "d.jsonl")
    path.write_text(json.dumps([row]) if as_array else json.dumps(row))
    (sample,) = samples_of(path, layout=layout)
    found = sample.model_dump(exclude_defaults=True, exclude_none=True)
    found = {key: value for key, value in found.items() if value not in ([], {})}
    assert found == {"id": sample.id, **golden}


def test_the_assertions_of_promptfoo_are_what_is_expected(tmp_path: Path) -> None:
    (tmp_path / "tests.csv").write_text(
        "question,style,__expected1,__expected2,__description,__metadata:team,__metadata:areas[],"
        "__prefix\n"
        'Hi,short,contains:hello,"latency: 500",a greeting,qa,"x, y",Please: \n'
        "Bye,,bye,,,,,\n"
    )
    first, second = samples_of(tmp_path / "tests.csv", layout="promptfoo_csv")
    assert first.messages == [{"role": "user", "content": "Please: Hi"}]
    assert first.expected == ["contains:hello", "latency: 500"]
    assert first.metadata == {
        "style": "short",
        "description": "a greeting",
        "team": "qa",
        "areas": ["x", "y"],
    }
    assert (second.expected, second.metadata) == ("bye", {})


def test_a_prompt_with_variables_of_promptfoo_is_an_expression(tmp_path: Path) -> None:
    (tmp_path / "tests.csv").write_text("topic,language,__expected\ntides,Korean,moon\n")
    (sample,) = samples_of(
        tmp_path / "tests.csv",
        layout="promptfoo_csv",
        columns={"input": "Explain {{ topic }} in {{ language }}."},
    )
    assert sample.messages[0]["content"] == "Explain tides in Korean."


def test_a_column_of_the_config_takes_the_place_of_the_layouts(tmp_path: Path) -> None:
    row = {"dialog": [{"from": "user", "value": "a"}, {"from": "gpt", "value": "b"}]}
    (tmp_path / "d.jsonl").write_text(json.dumps(row))
    (sample,) = samples_of(tmp_path / "d.jsonl", layout="sharegpt", columns={"messages": "dialog"})
    assert (sample.messages, sample.expected) == ([{"role": "user", "content": "a"}], "b")


@pytest.mark.parametrize(
    ("layout", "row", "told"),
    [
        ("openai_finetune", {"messages": [ANSWER]}, "has no turn before the assistant's"),
        ("openai_finetune", {"prompt": "x"}, "`messages` holds no JSON list of messages"),
        ("openai_finetune", {"messages": ["x"]}, "a message is no object"),
        ("sharegpt", {"conversations": [{"from": "alien", "value": 1}]}, "speaker 'alien' (known"),
        ("sharegpt", {"conversations": [{"text": 1}]}, "a turn has no `from` and `value`"),
        ("alpaca", {"instruction": "", "input": "x"}, "column `instruction` is empty"),
        ("alpaca", {"instruction": "x", "history": [["a"]]}, "`history` is no list of pairs"),
        ("openai_evals", {"prompt": "x"}, "the input is empty"),
        ("inspect", {"target": "x"}, "the input is empty"),
    ],
)
def test_a_row_that_is_not_of_the_layout_is_told(
    tmp_path: Path, layout: str, row: dict[str, Any], told: str
) -> None:
    (tmp_path / "d.jsonl").write_text(json.dumps(row))
    with pytest.raises(DatasetError) as raised:
        samples_of(tmp_path / "d.jsonl", layout=layout)
    assert str(raised.value).startswith(f"{tmp_path}/d.jsonl:1: ")
    assert told in str(raised.value)


@pytest.mark.parametrize(
    ("row", "layout"),
    [
        ({"messages": [USER, ANSWER]}, "openai_finetune"),
        ({"conversations": [{"from": "human", "value": "x"}]}, "sharegpt"),
        ({"instruction": "x", "input": "", "output": "y"}, "alpaca"),
    ],
)
def test_a_file_without_its_layout_is_told_which_to_type(
    tmp_path: Path, row: dict[str, Any], layout: str
) -> None:
    (tmp_path / "d.jsonl").write_text(json.dumps(row))
    with pytest.raises(DatasetError, match=f"dataset.layout={layout}"):
        samples_of(tmp_path / "d.jsonl")


def test_each_layout_has_a_file_in_conf_and_a_conversion() -> None:
    files = (shipped("conf") / "dataset").glob("*.yaml")
    trees = {path.stem: yaml.safe_load(path.read_text()) for path in files}
    named = {stem: tree["layout"] for stem, tree in trees.items() if "layout" in tree}
    assert named == {name: name for name in get_args(Layout)}
    assert set(LAYOUTS) == set(named)
