from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from lm_eval_so import run
from lm_eval_so.runner.models import RunConfig
from support.viewer import Viewer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def view(tmp_path: Path) -> Iterator[Callable[..., Viewer]]:
    """Starts ``view`` on ``outputs``, or what is named."""
    with contextlib.ExitStack() as opened:

        def start(folder: Path | None = None, *arguments: str) -> Viewer:
            viewer = Viewer(folder or tmp_path / "outputs", tmp_path / "cache", *arguments)
            return opened.enter_context(viewer)

        yield start


@pytest.fixture
def answered(tmp_path: Path, make_dataset: Callable[..., Path]) -> Callable[..., Path]:
    """Carries out a run of the simulated backend; gives its directory."""

    def make(model: str = "m", count: int = 3, dataset: str = "numbers", **options: Any) -> Path:  # noqa: ANN401 - the backend's
        found = make_dataset(count, dataset)
        config = RunConfig(
            backend="simulated", model=model, backend_options={"latency_ms": 0, **options}
        )
        directory = tmp_path / "outputs" / dataset / model
        run(found, config, output_dir=directory)
        return directory

    return make
