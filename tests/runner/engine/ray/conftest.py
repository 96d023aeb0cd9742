from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from support.ray_cluster import Cluster, Driver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.fake_openai import FakeOpenAI


@pytest.fixture(scope="session", autouse=True)
def _ray() -> None:
    if find_spec("ray") is None:
        pytest.skip("Ray has no wheel for this platform, or is not installed")
    if sys.platform != "linux":
        pytest.skip("processes are looked at in /proc")


@pytest.fixture(scope="session")
def cluster(_ray: None) -> Iterator[Cluster]:
    """Two nodes, which tests share: each process of pytest begins them once."""
    with Cluster() as running:
        yield running


@pytest.fixture
def on_cluster(cluster: Cluster, target: list[str]) -> Callable[..., Driver]:
    """Begins a run on the cluster, with two workers."""

    def begin(server: FakeOpenAI, *overrides: str, env: dict[str, str] | None = None) -> Driver:
        where = ["engine=ray", f"engine.address={cluster.address}", "engine.workers=2"]
        return Driver([*target, *where, *overrides], {**server.env, **cluster.env, **(env or {})})

    return begin


@pytest.fixture
def alone(target: list[str]) -> Callable[..., Driver]:
    """Begins a run in one process."""

    def begin(server: FakeOpenAI, *overrides: str) -> Driver:
        return Driver([*target, "engine=sync", *overrides], server.env)

    return begin


@pytest.fixture
def target(make_dataset: Callable[..., Path]) -> list[str]:
    """The dataset and the backend; a test may put other values behind it."""
    dataset = make_dataset(2000)
    return [
        *("backend=openai", "model=m", "dataset=path", f"dataset.path={dataset}"),
        *("output_dir=run", "store.shard_size=100", "runner.max_concurrency=32"),
    ]
