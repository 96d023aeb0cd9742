"""Runs on a pool of real servers, from the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from conftest import rows

if TYPE_CHECKING:
    from pathlib import Path

    from support.fake_openai import FakeOpenAI

KEY = "sk-fake-key-0123456789"
ENV = {"OPENAI_API_KEY": KEY}
RUN = ("backend=openai", "model=m", "dataset=path", "output_root=out")
OPTION = "backend.options"


def arguments(dataset: Path, *more: str) -> list[str]:
    return [*RUN, f"dataset.path={dataset}", *more]


def pooled(*servers: FakeOpenAI) -> str:
    return f"{OPTION}.base_url=[{','.join(server.base_url for server in servers)}]"


def lines(folder: Path) -> list[dict[str, Any]]:
    (results,) = (folder / "out").rglob("run_results.jsonl")
    return rows(results)


def metadata(folder: Path) -> dict[str, Any]:
    (path,) = (folder / "out").rglob("run_metadata.json")
    found: dict[str, Any] = orjson.loads(path.read_bytes())
    return found
