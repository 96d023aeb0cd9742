"""docs/ARCHITECTURE.md shows the code as it is: its paths exist, its tiers are the contract's."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from conftest import REPOSITORY

PAGE = (REPOSITORY / "docs/ARCHITECTURE.md").read_text(encoding="utf-8")
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
RUNNER = REPOSITORY / "lm_eval_so" / "runner"
_PATH = re.compile(r"[\w.-]+\.(py|yaml|toml|md|png)|[\w.-]+(/[\w.<>-]+)*/|[\w.-]+(/[\w.<>-]+)+")


def spans(page: str) -> set[str]:
    """What is set as code and looks like a path."""
    prose = re.sub(r"^```.*?^```$", "", page, flags=re.DOTALL | re.MULTILINE)
    return {span for span in re.findall(r"`([^`]+)`", prose) if _PATH.fullmatch(span)}


def exists(path: str) -> bool:
    """Below the runner or the repository; ``conf/backend/<name>.yaml`` stands for its folder."""
    there = path.partition("<")[0]
    return (RUNNER / there).exists() or (REPOSITORY / there).exists()


def test_each_path_of_the_page_exists() -> None:
    paths = spans(PAGE)
    assert {"strategy/retry.py", "pyproject.toml", "conf/engine/<kind>.yaml"} <= paths
    assert [path for path in sorted(paths) if not exists(path)] == []


def test_each_path_of_the_readme_exists() -> None:
    folders = "|".join(re.escape(folder) for folder in ("lm_eval_so", "conf", "docs", "example"))
    paths = set(re.findall(rf"(?<![\w/.-])(?:{folders})/[\w./-]*\w", README))
    assert "example/quickstart" in paths
    assert [path for path in sorted(paths) if not (REPOSITORY / path).exists()] == []


def test_the_tiers_of_the_picture_are_those_of_the_contract() -> None:
    (picture,) = re.findall(r"^```\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    tiers = re.findall(r"^  (\w+(?: \| \w+)*)(?: {2,}|$)", picture, re.MULTILINE)
    assert tiers == layers("Data flows one way")


def test_what_stands_beside_is_in_the_order_of_its_contract() -> None:
    (shown,) = re.findall(r"beside it.*?:  (.*)$", PAGE, re.MULTILINE)
    assert shown.split(" ▸ ") == layers("Tracking stands above a run and below who starts one")


def layers(name: str) -> list[str]:
    """The layers of a contract, from above to below, by their last names."""
    parsed = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    contracts: list[dict[str, Any]] = parsed["tool"]["importlinter"]["contracts"]
    (contract,) = (one for one in contracts if one["name"] == name)
    return [re.sub(r"[\w.]+\.", "", layer) for layer in contract["layers"]]


def test_no_stage_is_missing_in_the_table_of_files() -> None:
    table = PAGE.partition("## Which file decides")[2].partition("## To add")[0]
    stages = {path.name for path in RUNNER.iterdir() if path.is_dir() and path.name[0] != "_"}
    named = {span.partition("/")[0] for span in spans(table)}
    assert stages - named <= {"engine"}  # it is one of the seams
