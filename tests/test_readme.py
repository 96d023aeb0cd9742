"""Every command, program, link and config line of the README does what it says, in Korean too."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from conftest import REPOSITORY
from lm_eval_so.runner.models import TestSample

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.fake_openai import FakeOpenAI

PAGES = {
    name: (REPOSITORY / name).read_text(encoding="utf-8")
    for name in ("README.md", "docs/README.ko.md")
}
README, KOREAN = PAGES.values()
BIN = Path(sys.executable).parent


def blocks(language: str, page: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)


def wants(page: str) -> list[list[str]]:
    """The rows of the first table: "I want", "I type"."""
    first = re.search(r"(?:^\|.*\n)+", page, re.MULTILINE)
    assert first is not None
    _titles, _rule, *lines = first.group().splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def typed(page: str) -> list[str]:
    """The commands of that table: what is set as code, has a space and is no call."""
    code = [span for _, cell in wants(page) for span in re.findall(r"`([^`]+)`", cell)]
    return [span for span in code if " " in span and not span.startswith("run(")]


def commands(page: str) -> list[str]:
    lines = [line for block in blocks("bash", page) for line in block.splitlines()]
    return list(dict.fromkeys([*lines, *typed(page)]))


COMMANDS = commands(README)
EXAMPLE = '{"id": "e1", "messages": [{"role": "user", "content": "Hi 1"}], "expected": "Hello"}\n'
FILES = {  # that a user has
    "questions.csv": "question,answer\nCan I return it?,Yes.\nWhere?,Here.\nWho?,Us.\n",
    "reviews.csv": "context,text\nfilm,It was good.\n",
    "prompts/terse.md": "Be terse.",
    "prompts/polite.md": "Be polite.",
    "my-conf/prompt/terse.yaml": "system: Be terse.",
    "my-conf/prompt/polite.yaml": "system: Be polite.",
    "my/examples/test.jsonl": "".join(EXAMPLE.replace("1", str(n)) for n in range(4)),
}
LOOKS = {"preview=1": 0, "preview=3": 0, "check=1": 1}
"""How many requests are sent where somebody only wants to look."""
NOT_HERE = {
    "make check",  # this test is a part of it
    "make test",
    "lm-eval-so view",  # serves until it is interrupted: tests/report/view
}
SLURM = "submitit_slurm"
ADDRESS = "http://localhost:8000/v1"
OF_EARLIER_RUNS = (
    "python -m lm_eval_so.runner.sweep ",
    "python -m lm_eval_so.tracking ",
    "lm-eval-so report",
    "lm-eval-so export ",
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what git tracks or would track, with an environment that is installed already."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    folder = tmp_path / "checkout"
    for name in listed.stdout.splitlines():
        if (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, folder / name)
    (folder / ".venv").mkdir()
    (folder / ".venv" / "bin").symlink_to(BIN)
    for stamp in (".installed", ".installed-dev"):
        (folder / ".venv" / stamp).touch()
    shutil.copytree(REPOSITORY / "example/quickstart/dataset/toy_support_qa_v1", folder / "my/dir")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def environment(server: FakeOpenAI) -> dict[str, str]:
    return {
        **os.environ,
        **server.env,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        # What pip would install is looked up, not installed: the environment is in use.
        "PIP_DRY_RUN": "1",
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
    }


@pytest.mark.parametrize("line", [line for line in COMMANDS if line not in NOT_HERE])
def test_each_command_works_as_it_stands(
    line: str, checkout: Path, environment: dict[str, str], server: FakeOpenAI
) -> None:
    if line.startswith("source "):
        (BIN / "activate").stat()
        return
    if line.startswith(OF_EARLIER_RUNS):  # there have to be some
        earlier = bash("lm-eval-so -m backend=simulated model=one,two", checkout, environment)
        assert earlier.returncode == 0, earlier.stderr
    done = bash(here(line, server), checkout, environment)
    assert done.returncode == 0, done.stdout + done.stderr
    if re.search(r"backend[= ]openai", line):
        cells = cells_of(line)
        assert len(server.requests) == LOOKS.get(line.rsplit(maxsplit=1)[-1], 3 * cells)
    if re.search(r"backend[= ]openai", line) and line.rsplit(maxsplit=1)[-1] not in LOOKS:
        assert f"{3 * cells} ok" in done.stdout or told_ok(done.stdout) == cells
    if line == "make quickstart":
        assert "3 ok" in done.stdout


MORE_COMMANDS = [
    line
    for name in ("DATASETS", "PROMPTS", "NUMBERS")
    for block in blocks("bash", (REPOSITORY / f"docs/{name}.md").read_text(encoding="utf-8"))
    for line in block.splitlines()
]


@pytest.mark.parametrize("line", MORE_COMMANDS)
def test_each_command_of_the_pages_works_as_it_stands(
    line: str, checkout: Path, environment: dict[str, str], server: FakeOpenAI
) -> None:
    done = bash(line, checkout, environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert bool(server.requests) is ("preview=" not in line)


def test_the_program_on_datasets_works_as_it_stands(checkout: Path) -> None:
    (program,) = blocks("python", (REPOSITORY / "docs/DATASETS.md").read_text(encoding="utf-8"))
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout == "partial: 1 of 2 samples of the dataset were selected\n", done.stderr


def here(line: str, server: FakeOpenAI) -> str:
    """The command for this machine: its own server, and no cluster."""
    return line.replace(ADDRESS, server.base_url).replace(SLURM, "submitit_local")


def cells_of(line: str) -> int:
    if not line.startswith("lm-eval-so -m "):
        return 1
    files = 2 if "glob(prompts/*.md)" in line else 1
    return files * prod(word.partition("=")[2].count(",") + 1 for word in line.split())


def told_ok(output: str) -> int:
    """Cells that are told to be ok: as lines of their own, else as rows of the table."""
    return output.count("3 ok") or len(re.findall(r"^.* complete +3 +0 +0 ", output, re.MULTILINE))


def bash(line: str, folder: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )


def test_the_tab_key_completes_in_bash(checkout: Path, environment: dict[str, str]) -> None:
    (install,) = (line for line in COMMANDS if " -sc " in line)
    complete = "hydra_bash_completion; echo ${COMPREPLY[@]}"
    words = 'COMP_LINE="lm-eval-so backend=opena" COMP_POINT=24 COMP_CWORD=1'
    done = bash(f"{install}; {words}; {complete}", checkout, environment)
    assert done.stdout.split() == ["backend=openai"], done.stderr


@pytest.mark.parametrize("program", blocks("python"), ids=["run", "score", "pipeline", "backend"])
def test_each_program_works_as_it_stands(program: str, checkout: Path, server: FakeOpenAI) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=checkout,
        env={**os.environ, **server.env},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert len(server.requests) == (1 if "PipelineContext" in program else server_asked(program))


def server_asked(program: str) -> int:
    return 3 if 'backend="openai"' in program else 0  # the second time nothing is sent


def test_the_korean_page_has_nothing_to_run_that_the_readme_has_not() -> None:
    assert commands(KOREAN)
    assert set(commands(KOREAN)) <= set(COMMANDS)
    languages = set(re.findall(r"^```(\w*)$", KOREAN, re.MULTILINE)) - {""}
    for language in languages - {"bash"}:
        assert set(blocks(language, KOREAN)) <= set(blocks(language))


def test_the_korean_table_has_the_rows_of_the_readme_in_the_same_order() -> None:
    assert len(wants(KOREAN)) == len(wants(README))
    assert typed(KOREAN) == typed(README)


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_each_row_says_what_to_type_or_where_it_is_explained(page: str) -> None:
    for want, answer in wants(page):
        assert want
        assert re.search(r"`[^`]+`|\]\(", answer), want


@pytest.mark.parametrize("name", PAGES)
def test_each_link_leads_somewhere(name: str) -> None:
    page = re.sub(r"^```.*?^```$", "", PAGES[name], flags=re.DOTALL | re.MULTILINE)
    links = re.findall(r"\]\(([^)]+)\)", page)
    assert links
    for link in links:
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (REPOSITORY / name).parent / path if path else REPOSITORY / name
        assert target.is_file(), link
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), link


def anchors(page: str) -> set[str]:
    """Of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_sample_shown_is_a_sample() -> None:
    (shown,) = blocks("json")
    assert TestSample.model_validate_json(shown).model_extra == {}


def config_table() -> dict[str, str]:
    config = README.partition("## Config")[2].partition("## Results")[0]
    mlflow = README.partition("## MLflow")[2].partition("## Limits")[0]
    table = config + mlflow
    rows = re.findall(r"^\| `([^`]+)` \| (?:`([^`]*)`)?", table, re.MULTILINE)
    return {key: default for key, default in rows if not key.endswith("*")}


def flattened(tree: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from flattened(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def test_the_table_has_every_key_with_its_default() -> None:
    config = yaml.safe_load((REPOSITORY / "conf/config.yaml").read_text(encoding="utf-8"))
    runner = yaml.safe_load((REPOSITORY / "conf/runner/default.yaml").read_text(encoding="utf-8"))
    expected = dict(flattened(runner, "runner."))
    mlflow = yaml.safe_load((REPOSITORY / "conf/tracking/mlflow.yaml").read_text(encoding="utf-8"))
    expected |= {f"tracking.{key}": value for key, value in mlflow.items() if key != "kind"}
    expected |= {key: config[key] for key in ("model", "output_root", "output_dir")}
    groups = [default for default in config["defaults"] if isinstance(default, dict)]
    expected |= {
        group: option
        for default in groups
        for group, option in default.items()
        if group in ("dataset", "prompt", "backend", "params", "runner", "tracking")
    }
    shown = {key: yaml.safe_load(default or "null") for key, default in config_table().items()}
    assert expected.items() <= shown.items()


def test_the_table_names_every_option_of_every_group() -> None:
    table = README.partition("## Config")[2]
    for group in ("dataset", "backend", "params", "runner", "tracking"):
        for path in (REPOSITORY / "conf" / group).glob("*.yaml"):
            assert f"`{path.stem}`" in table


def test_every_backend_option_is_explained() -> None:
    text = README.partition("## Config")[2]
    for path in (REPOSITORY / "conf/backend").glob("*.yaml"):
        options = yaml.safe_load(path.read_text(encoding="utf-8"))["options"]
        for option in options:
            assert f"`{option}`" in text, (path.name, option)
