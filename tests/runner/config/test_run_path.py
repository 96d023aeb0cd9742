from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lm_eval_so.runner.config.identity import fingerprint, identity
from lm_eval_so.runner.config.run_path import run_directory, safe_name
from lm_eval_so.runner.models import RunConfig

FORBIDDEN = set('<>:"/\\|?*%') | {chr(code) for code in range(33)} | {"\x7f"}
PORTS = [f"{port}{n}" for port in ("com", "lpt") for n in range(10)]
RESERVED = ["con", "prn", "aux", "nul", *PORTS]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        pytest.param("gpt-4o-mini", "gpt-4o-mini", id="already-safe"),
        pytest.param("meta-llama/Llama-3.1-8B", "meta-llama-Llama-3.1-8B", id="slash"),
        pytest.param("org/name:v1", "org-name-v1", id="colon"),
        pytest.param("C:\\models\\a.gguf", "C-models-a.gguf", id="backslash"),
        pytest.param("../../etc/passwd", "etc-passwd", id="no-way-up"),
        pytest.param("a  \t\n b", "a-b", id="white-space"),
        pytest.param("a\x00b", "a-b", id="nul"),
        pytest.param(".hidden", "hidden", id="leading-dot"),
        pytest.param("name. ", "name", id="trailing-dot-and-space"),
        pytest.param("한국어-モデル-é", "한국어-モデル-é", id="unicode-stays"),
        pytest.param("", "_", id="empty"),
        pytest.param("..", "_", id="dots"),
        pytest.param("///", "_", id="slashes"),
    ],
)
def test_a_name_any_file_system_takes(text: str, name: str) -> None:
    assert safe_name(text) == name


@pytest.mark.parametrize("word", RESERVED)
def test_names_that_windows_reserves_are_not_used(word: str) -> None:
    assert safe_name(word) == f"_{word}"
    assert safe_name(word.upper()) == f"_{word.upper()}"
    assert safe_name(f"{word}.txt") == f"_{word}.txt"
    assert safe_name(f"{word}/") == f"_{word}", "once the slash is gone"


@pytest.mark.parametrize("name", ["console", "com10", "nul-1", "auxiliary", "a.con"])
def test_names_that_only_begin_like_reserved_ones_are_left_alone(name: str) -> None:
    assert safe_name(name) == name


@pytest.mark.parametrize(
    ("text", "size"),
    [
        pytest.param("a" * 255, 255, id="just-fits"),
        pytest.param("a" * 256, 255, id="one-too-many"),
        pytest.param("한" * 85, 255, id="three-bytes-each"),
        pytest.param("한" * 86, 255, id="three-bytes-each-too-many"),
        pytest.param("😀" * 64, 252, id="no-half-character"),
        pytest.param("a" * 254 + ".b", 254, id="no-dot-at-the-cut"),
    ],
)
def test_a_name_has_at_most_255_bytes_and_whole_characters(text: str, size: int) -> None:
    name = safe_name(text)
    assert len(name.encode()) == size
    assert text.startswith(name)


@given(st.text(max_size=400), st.integers(20, 255))
@example("con", 255)
@example("%2e%2e", 255)
@example("한" * 100, 255)
def test_every_text_has_a_safe_name(text: str, longest: int) -> None:
    name = safe_name(text, longest)
    assert 1 <= len(name.encode()) <= longest
    assert not FORBIDDEN & set(name)
    assert name[0] not in ".- "
    assert name[-1] not in ".- "
    assert name.split(".")[0].lower() not in RESERVED
    assert safe_name(name, longest) == name, "safe already"


@given(st.text(max_size=400))
def test_a_safe_name_can_be_made_into_a_folder(text: str) -> None:
    folder = Path.cwd() / safe_name(text)
    folder.mkdir(exist_ok=True)
    assert folder.parent == Path.cwd()
    folder.rmdir()


def of(
    model: str = "m", dataset: str = "d", backend: str = "openai", **parameters: object
) -> dict[str, object]:
    config = RunConfig(backend=backend, model=model, parameters=parameters)
    return identity(dataset, config, "https://a/v1", {})


@pytest.mark.parametrize(
    ("asked", "folder"),
    [
        pytest.param(of(), "d/openai_m", id="no-parameters"),
        pytest.param(
            of("gpt-4o", top_p=0.9, temperature=0),
            "d/openai_gpt-4o_temperature=0,top_p=0.9",
            id="parameters-sorted",
        ),
        pytest.param(of(n=None), "d/openai_m", id="none-is-not-sent"),
        pytest.param(of(effort="low"), "d/openai_m_effort=low", id="string-without-quotes"),
        pytest.param(of(stop=["a", "b"], n=1), "d/openai_m_n=1", id="no-list"),
        pytest.param(of(extra={"a": {"b": 1}}, n=1), "d/openai_m_n=1", id="no-mapping"),
        pytest.param(of(stop="$(rm) {x} 'y' & z!"), "d/openai_m_stop=-rm-x-y-z", id="shell"),
        pytest.param(of("한국어-モデル"), "d/openai_한국어-モデル", id="unicode"),
        pytest.param(of(logprobs=True), "d/openai_m_logprobs=true", id="json-words"),
        pytest.param(of("org/name:v1", "my/set"), "my-set/openai_org-name-v1", id="slashes"),
    ],
)
def test_a_run_directory_says_what_is_in_it(asked: dict[str, object], folder: str) -> None:
    digits = fingerprint(asked)[:8]
    assert run_directory(Path("out"), asked) == Path("out") / f"{folder}-{digits}"


def test_names_that_look_alike_do_not_share_a_directory() -> None:
    alike = [of("org/name"), of("org:name"), of("org-name")]
    folders = {run_directory(Path(), asked) for asked in alike}
    assert len(folders) == 3


def test_a_long_name_is_cut_and_keeps_its_digits() -> None:
    long = [of("m" * 300 + end, "d" * 300) for end in "ab"]
    folders = [run_directory(Path("out"), asked) for asked in long]
    assert folders[0] != folders[1]
    for folder, asked in zip(folders, long, strict=True):
        assert folder.name.endswith("m-" + fingerprint(asked)[:8])
        assert [len(part) for part in folder.parts] == [3, 255, 100]
        folder.mkdir(parents=True)


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        pytest.param("terse", "openai_m_terse_n=1", id="after-the-model"),
        pytest.param("", "openai_m_n=1", id="none"),
        pytest.param("my prompt/v2 $(x)", "openai_m_my-prompt-v2-x-_n=1", id="shell"),
        pytest.param("p" * 200, f"openai_m_{'p' * 40}_n=1", id="long"),
    ],
)
def test_a_directory_shows_the_label_of_its_prompt(label: str, shown: str) -> None:
    asked = of(n=1)
    name = run_directory(Path("out"), asked, prompt=label).name
    assert name == f"{shown}-{fingerprint(asked)[:8]}"


PARAMETERS = st.dictionaries(st.text(), st.text() | st.floats(0, 1))


@given(st.text(min_size=1), st.text(min_size=1), PARAMETERS, st.text())
def test_a_run_directory_is_always_two_levels_below_the_root(
    model: str, dataset: str, parameters: dict[str, object], prompt: str
) -> None:
    config = RunConfig(backend="b", model=model, parameters=parameters)
    asked = identity(dataset, config, "", {})
    folder = run_directory(Path("/root"), asked, prompt=prompt)
    assert folder.parent.parent == Path("/root")
    assert len(folder.name.encode()) <= 255
    assert len(folder.name) <= 100
    in_ascii = folder.name.encode("ascii", "ignore").decode()
    assert shlex.quote(in_ascii) == in_ascii, "no shell reads anything into it"
    assert run_directory(Path("/root"), asked, prompt=prompt) == folder
