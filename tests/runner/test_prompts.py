"""Prompts through the command line: an axis of a sweep, and a part of a run's identity."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from conftest import rows
from lm_eval_so import PromptConfig, RunConfig
from lm_eval_so import run as run_in_python
from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.hydra_app.app import main
from lm_eval_so.runner.sweep.__main__ import main as compare
from lm_eval_so.tracking.record import params_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.fake_openai import FakeOpenAI

Run = "Callable[..., int]"


@pytest.fixture
def run(
    server: FakeOpenAI, make_dataset: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., int]:
    """Runs overrides against the server, with two samples."""
    for name, value in server.env.items():
        monkeypatch.setenv(name, value)
    dataset = make_dataset(2)

    def start(*overrides: str) -> int:
        common = ["backend=openai", "dataset=path", f"dataset.path={dataset}", "model=m"]
        return main([*common, *overrides])

    return start


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    """A folder with a group ``prompt`` of the user's own, and files with texts."""
    group = tmp_path / "conf" / "prompt"
    group.mkdir(parents=True)
    (group / "terse.yaml").write_text("system: Be terse.\n")
    (group / "polite.yaml").write_text("system: Be polite.\n")
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "terse.md").write_text("Be terse.\n")
    (texts / "polite.md").write_text("Be polite.\n")
    return tmp_path / "conf"


def directories(folder: Path) -> list[Path]:
    found = (folder / "outputs" / "numbers").glob("*/run_metadata.json")
    return sorted(path.parent for path in found)


def metadata(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / "run_metadata.json").read_bytes())
    return found


def systems(server: FakeOpenAI) -> list[str]:
    """The system message of each request, in the order of the alphabet."""
    return sorted(request.body["messages"][0]["content"] for request in server.requests)


def sweep_record(folder: Path) -> list[dict[str, Any]]:
    (path,) = folder.glob("outputs/numbers/sweeps/*/sweep.json")
    cells: list[dict[str, Any]] = json.loads(path.read_bytes())["cells"]
    return cells


def test_two_prompts_and_two_models_are_four_directories_and_the_second_command_asks_nothing(
    run: Callable[..., int], server: FakeOpenAI, prompts: Path, tmp_path: Path
) -> None:
    sweep = ["-m", f"--config-dir={prompts}", "prompt=terse,polite", "model=a,b"]
    assert run(*sweep) == 0
    names = [path.name.rpartition("-")[0] for path in directories(tmp_path)]
    assert names == ["openai_a_polite", "openai_a_terse", "openai_b_polite", "openai_b_terse"]
    assert systems(server) == ["Be polite."] * 4 + ["Be terse."] * 4
    settings = [cell["settings"] for cell in sweep_record(tmp_path)]
    assert settings[0] == {"model": "a", "prompt": "terse"}
    server.requests.clear()
    assert run(*sweep) == 0
    assert server.requests == []


@pytest.mark.parametrize("values", ["glob(texts/*.md)", "texts/polite.md,texts/terse.md"])
def test_files_are_an_axis_of_a_sweep(
    values: str, run: Callable[..., int], server: FakeOpenAI, prompts: Path, tmp_path: Path
) -> None:
    assert prompts
    assert run("-m", f"prompt.system_file={values}") == 0
    assert systems(server) == ["Be polite."] * 2 + ["Be terse."] * 2
    labels = [metadata(path)["prompt"]["label"] for path in directories(tmp_path)]
    assert labels == ["polite", "terse"]


def test_a_glob_that_matches_nothing_is_an_error(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("-m", "prompt.system_file=glob(nowhere/*.md)") == 2
    assert "prompt.system_file=glob(nowhere/*.md): nothing matches" in capsys.readouterr().err


def test_long_texts_have_short_names_in_tables(
    run: Callable[..., int], server: FakeOpenAI, tmp_path: Path
) -> None:
    texts = [f"Begin in the same way and go on for long {end}" for end in ("here", "there")]
    assert run("-m", "prompt.system='{}','{}'".format(*texts)) == 0
    assert systems(server) == [texts[0]] * 2 + [texts[1]] * 2
    shown = [cell["settings"]["prompt.system"] for cell in sweep_record(tmp_path)]
    assert len(set(shown)) == 2
    assert all(len(text) < 50 and text.startswith("Begin in the same") for text in shown)


def test_a_text_is_sent_as_it_was_typed(run: Callable[..., int], server: FakeOpenAI) -> None:
    text = "You're brief, please; never {x}: $1\nand no more."
    assert run(f"prompt.system={text}") == 0
    assert systems(server) == [text] * 2


def test_another_text_is_another_directory_and_no_prompt_is_a_third(
    run: Callable[..., int], server: FakeOpenAI, tmp_path: Path
) -> None:
    for prompt in ([], ["prompt.system=Be terse."], ["prompt.system=Be polite."]):
        assert run(*prompt) == 0
    found = [path.name for path in directories(tmp_path)]
    assert len(found) == 3
    assert [name.count("_prompt-") for name in found] == [0, 1, 1]
    assert len(server.requests) == 6


def test_the_same_text_from_another_path_is_the_same_run(
    run: Callable[..., int], server: FakeOpenAI, prompts: Path, tmp_path: Path
) -> None:
    assert run("prompt.system_file=texts/terse.md") == 0
    (tmp_path / "moved.txt").write_bytes(b"\xef\xbb\xbfBe terse.\r\n")
    for again in (
        ["prompt.system_file=moved.txt"],
        ["prompt.system=Be terse."],
        [f"--config-dir={prompts}", "prompt=terse"],
        ["-m", "prompt.system_file=moved.txt,texts/polite.md"],
    ):
        assert run(*again) == 0
    assert len(server.requests) == 4
    assert len(directories(tmp_path)) == 2


def test_two_cells_with_one_text_are_one_run_and_told(
    run: Callable[..., int],
    server: FakeOpenAI,
    prompts: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert prompts
    (tmp_path / "copy.md").write_text("Be terse.")
    assert run("-m", "prompt.system_file=copy.md,texts/terse.md") == 2
    assert "cells 1 and 2 are the same run" in capsys.readouterr().err
    assert server.requests == []


def test_a_named_prompt_that_is_edited_goes_on_in_place_and_asks_only_what_changed(
    run: Callable[..., int], server: FakeOpenAI, tmp_path: Path
) -> None:
    template = tmp_path / "question.j2"
    named = ["prompt.name=mine", f"prompt.template_file={template}"]
    template.write_text("Q: {{ input }}")
    assert run(*named) == 0
    template.write_text("Q: {{ input }}{% if id == 's1' %}?{% endif %}")
    assert run(*named) == 0
    assert [request.question for request in server.requests[2:]] == ["Q: question 1?"]
    (directory,) = directories(tmp_path)
    assert directory.name.startswith("openai_m_mine-")
    lines = rows(directory / "run_results.jsonl")
    assert [line["request_messages"][0]["content"] for line in lines] == [
        "Q: question 0",
        "Q: question 1?",
    ]
    assert metadata(directory)["prompt"]["template"] == template.read_text()


def test_a_template_over_a_missing_field_names_file_and_row_before_anything_is_sent(
    run: Callable[..., int], server: FakeOpenAI, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("prompt.template='{{ metadata.language }}: {{ inputs }}'") == 2
    told = capsys.readouterr().err
    for row in (1, 2):
        assert f"{tmp_path}/numbers/test.jsonl:{row}: prompt.template: " in told
    assert "has no attribute 'language'" in told
    assert run("prompt.template='{{ inputs }}'") == 2
    assert "the sample has no 'inputs'; did you mean 'input'?" in capsys.readouterr().err
    assert server.requests == []
    assert not (tmp_path / "outputs").exists()


def examples(folder: Path, *expected: object) -> Path:
    path = folder / "examples.jsonl"
    lines = (
        {"id": n, "messages": [{"role": "user", "content": f"example {n}"}], "expected": each}
        for n, each in enumerate(expected)
    )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_examples_are_sent_and_are_part_of_the_identity_by_their_content(
    run: Callable[..., int], server: FakeOpenAI, tmp_path: Path
) -> None:
    path = examples(tmp_path, "yes", 4, "unused")
    few_shot = ["prompt=few_shot", f"prompt.few_shot.path={path}", "prompt.few_shot.count=2"]
    assert run(*few_shot) == 0
    asked = sorted(server.requests, key=lambda request: request.question)
    assert [message["content"] for message in asked[1].body["messages"]] == [
        *("example 0", "yes", "example 1", "4", "question 1")
    ]
    moved = path.rename(tmp_path / "moved.jsonl")
    assert run(*few_shot, f"prompt.few_shot.path={moved}") == 0
    assert len(server.requests) == 2
    assert run(*few_shot, f"prompt.few_shot.path={moved}", "prompt.few_shot.seed=1") == 0
    examples(tmp_path, "no", 4, "unused")
    assert run(*few_shot) == 0
    assert len(directories(tmp_path)) == 3


def test_examples_without_an_answer_and_too_few_of_them_are_told_before_anything_is_sent(
    run: Callable[..., int], server: FakeOpenAI, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = examples(tmp_path, "yes", None)
    few_shot = [f"prompt.few_shot.path={path}", "prompt.few_shot.count=2"]
    assert run(*few_shot) == 2
    assert f"{path}:2: an example needs an answer" in capsys.readouterr().err
    assert run(f"prompt.few_shot.path={examples(tmp_path, 'yes')}") == 2
    assert "prompt.few_shot.count is 3, and" in capsys.readouterr().err
    assert server.requests == []


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        pytest.param(["prompt.sytem=x"], "did you mean 'prompt.system'?", id="typo"),
        pytest.param(["prompt.few_shot.pth=x"], "did you mean 'prompt.few_shot.path'?", id="inner"),
        pytest.param(["prompt=sytem"], "did you mean 'system'?", id="option"),
        pytest.param(["prompt=system"], "prompt=system needs prompt.system=", id="no-text"),
        pytest.param(["prompt=few_shot"], "prompt.few_shot.path is missing", id="no-path"),
        pytest.param(["prompt.name=x"], "without text or examples", id="name-of-nothing"),
        pytest.param(["prompt.system=''"], "must be a non-empty string", id="empty"),
        pytest.param(["prompt.system_file=none.md"], "none.md cannot be read: No such", id="file"),
        pytest.param(["prompt.system=a", "prompt.system_file=b"], "are both set", id="both"),
        pytest.param(["prompt.template={{"], "prompt.template:1: not a template", id="syntax"),
        pytest.param(["prompt.system_mode=append"], "'replace', 'prepend' or 'default'", id="mode"),
        pytest.param(
            ["prompt.few_shot.path=none.jsonl"],
            "prompt.few_shot.path: dataset none.jsonl does not exist",
            id="no-examples",
        ),
        pytest.param(["prompt.few_shot.count=0"], "must be at least 1, got 0", id="bound"),
    ],
)
def test_a_wrong_prompt_is_one_sentence(
    run: Callable[..., int],
    server: FakeOpenAI,
    capsys: pytest.CaptureFixture[str],
    overrides: list[str],
    sentence: str,
) -> None:
    assert run(*overrides) == 2
    assert sentence in capsys.readouterr().err
    assert server.requests == []


def test_cells_that_differ_in_the_prompt_are_one_line_per_sample(
    run: Callable[..., int], prompts: Path, tmp_path: Path
) -> None:
    assert run("-m", f"--config-dir={prompts}", "prompt=none,terse,polite") == 0
    assert compare([str(tmp_path / "outputs")]) == 0
    lines = rows(tmp_path / "side_by_side.jsonl")
    assert [line["sample_id"] for line in lines] == ["s0", "s1"]
    question = [{"role": "user", "content": "question 0"}]
    assert lines[0]["request_messages"] == question
    messages = {label: cell.get("messages") for label, cell in lines[0]["cells"].items()}
    assert messages.pop("prompt=terse") == [{"role": "system", "content": "Be terse."}, *question]
    assert messages.pop("prompt=polite")[0]["content"] == "Be polite."
    assert list(messages.values()) == [None]


def test_prompts_with_one_label_are_told_apart(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "system.md").write_text(folder)
        assert run(f"prompt.system_file={folder}/system.md") == 0
    capsys.readouterr()
    assert compare([str(tmp_path / "outputs")]) == 0
    labels = rows(tmp_path / "side_by_side.jsonl")[0]["cells"].keys()
    assert sorted(label[: len("prompt=system ")] for label in labels) == ["prompt=system "] * 2


def test_a_result_knows_its_sample_only_where_a_prompt_has_changed_it(
    run: Callable[..., int], tmp_path: Path
) -> None:
    assert run() == 0
    assert run("prompt.template='{{ input }}'") == 0
    assert run("prompt.system=x") == 0
    found = [
        "sample_key" in row["request_context"]
        for path in directories(tmp_path)
        for row in rows(path / "run_results.jsonl")
    ]
    assert sorted(found) == [False] * 4 + [True] * 2


def test_metadata_and_trackers_have_the_prompt(
    run: Callable[..., int], prompts: Path, tmp_path: Path
) -> None:
    from lm_eval_so.runner.store.metadata import read_metadata  # noqa: PLC0415 - one test

    assert prompts
    few_shot = [f"prompt.few_shot.path={examples(tmp_path, 'a', 'b')}", "prompt.few_shot.count=1"]
    assert run("prompt.system_file=texts/terse.md", *few_shot) == 0
    (directory,) = directories(tmp_path)
    found = read_metadata(directory)
    assert found is not None
    assert found.prompt is not None
    assert (found.prompt.label, found.prompt.system) == ("terse", "Be terse.")
    assert found.prompt.few_shot is not None
    assert found.prompt.few_shot.count == 1
    assert found.identity["prompt"]["few_shot"]["sha256"] == found.prompt.few_shot.sha256
    params = params_of(found)
    assert params["prompt.system"] == "Be terse."
    assert params["prompt.few_shot.count"] == 1


def test_a_run_from_python_meets_that_of_the_command_line(
    run: Callable[..., int], server: FakeOpenAI, tmp_path: Path
) -> None:
    assert run("prompt.system=Be terse.") == 0
    config = RunConfig(backend="openai", model="m")
    report = run_in_python(tmp_path / "numbers", config, prompt=PromptConfig(system="Be terse."))
    assert [report.run_dir.absolute()] == directories(tmp_path)
    assert len(server.requests) == 2


def test_a_wrong_prompt_in_python_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="did you mean 'system'"):
        PromptConfig(sytem="x")  # type: ignore[call-arg]


def test_the_flags_are_the_keys(
    run: Callable[..., int], server: FakeOpenAI, tmp_path: Path
) -> None:
    from lm_eval_so.runner.cli import main as flags  # noqa: PLC0415 - one test

    assert run
    text, template = "Be terse, {x}: $1 'now'", "Q: {{ input }}"
    asked = ["--dataset", str(tmp_path / "numbers"), "--backend", "openai", "--model", "m"]
    asked += ["--output-dir", "flags", "--prompt-template", template]
    assert flags([*asked, "--system", text]) == 0
    sent = [[one["content"] for one in request.body["messages"]] for request in server.requests]
    assert sorted(sent) == [[text, "Q: question 0"], [text, "Q: question 1"]]
    (tmp_path / "system.md").write_text(text)
    assert flags([*asked, "--system-file", "system.md"]) == 0
    assert len(server.requests) == 2


def test_an_image_of_an_example_is_sent_from_its_own_folder(
    run: Callable[..., int], server: FakeOpenAI, tmp_path: Path
) -> None:
    (tmp_path / "shots").mkdir()
    (tmp_path / "shots" / "cat.png").write_bytes(b"a cat")
    part = {"type": "image_url", "image_url": {"url": "file:cat.png"}}
    shot = {"id": "e", "messages": [{"role": "user", "content": [part]}], "expected": "cat"}
    (tmp_path / "shots" / "test.jsonl").write_text(json.dumps(shot) + "\n")
    few_shot = ["prompt=few_shot", "prompt.few_shot.path=shots", "prompt.few_shot.count=1"]
    assert run(*few_shot) == 0
    sent = [request.body["messages"][-3]["content"][0] for request in server.requests]
    image = "data:image/png;base64," + base64.b64encode(b"a cat").decode()
    assert sent
    assert {each["image_url"]["url"] for each in sent} == {image}
