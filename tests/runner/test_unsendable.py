"""A sample that a backend cannot carry is told with its place, before anything is sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from lm_eval_so.runner.hydra_app.app import main
from support.fake_openai import Reply
from support.fake_wires import FakeAnthropic, FakeResponses

if TYPE_CHECKING:
    from pathlib import Path

SOUND = {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}
WIRES = pytest.mark.parametrize(
    ("server", "arguments"),
    [
        pytest.param(FakeAnthropic, ["backend=anthropic"], id="anthropic"),
        pytest.param(
            FakeResponses, ["backend=openai", "backend.options.wire=responses"], id="responses"
        ),
    ],
)


def dataset(folder: Path, *messages: list[dict[str, Any]]) -> str:
    """A file with one sample of each."""
    lines = [json.dumps({"id": f"s{n}", "messages": each}) for n, each in enumerate(messages)]
    (folder / "asked.jsonl").write_text("\n".join(lines) + "\n")
    return f"dataset.path={folder}/asked.jsonl"


@WIRES
def test_up_to_ten_lines_are_told_and_nothing_is_sent(
    server: type[FakeAnthropic],
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fine = [{"role": "user", "content": "q"}]
    path = dataset(
        tmp_path,
        fine,
        [{"role": "user", "content": [SOUND]}],
        fine,
        [*fine, {"role": "tool", "content": "rain"}],
    )
    with server() as fake:
        for name, value in fake.env.items():
            monkeypatch.setenv(name, value)
        assert main([*arguments, "model=m", path, "output_dir=run"]) == 2
        assert fake.requests == []
    told = capsys.readouterr().err
    assert "asked.jsonl:2: messages[0].content[0] is a part of type 'input_audio'" in told
    assert "asked.jsonl:4: messages[1] is a tool's answer without the tool_call_id" in told
    assert ":1:" not in told
    assert not (tmp_path / "run").exists()


def test_a_sample_is_examined_as_its_prompt_makes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = dataset(
        tmp_path, [{"role": "system", "content": [SOUND]}, {"role": "user", "content": "q"}]
    )
    with FakeAnthropic() as fake:
        for name, value in fake.env.items():
            monkeypatch.setenv(name, value)
        command = ["backend=anthropic", "model=m", path]
        assert main(command) == 2
        assert "asked.jsonl:1: messages[0].content[0] of a system" in capsys.readouterr().err
        assert fake.requests == []
        assert main([*command, "prompt.system='be brief'"]) == 0
    assert fake.requests[0].body["system"] == "be brief"


def test_an_image_of_a_file_becomes_its_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    image = {"type": "image_url", "image_url": {"url": "file:a.png"}}
    path = dataset(tmp_path, [{"role": "user", "content": [image]}])
    with FakeAnthropic() as fake:
        fake.behave = lambda _received, _nth: Reply(text="a picture")
        for name, value in fake.env.items():
            monkeypatch.setenv(name, value)
        assert main(["backend=anthropic", "model=m", path, "output_dir=run"]) == 0
    (block,) = fake.requests[0].body["messages"][0]["content"]
    assert block["source"] == {"type": "base64", "media_type": "image/png", "data": "iVBORw=="}
