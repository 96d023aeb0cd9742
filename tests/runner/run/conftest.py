from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.runs_in_parts import OPENAI, SAMPLES, Done

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.fake_openai import FakeOpenAI


@pytest.fixture
def asked(
    command: Callable[..., Done], make_dataset: Callable[..., Path], server: FakeOpenAI
) -> Callable[..., Done]:
    """Runs 40 samples with more overrides."""
    dataset = make_dataset(SAMPLES)

    def asked(*more: str, code: int = 0) -> Done:
        done = command(*OPENAI, f"dataset.path={dataset}", *more, env=server.env)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return asked
