"""A run's metadata as a value, for tests of what is done with it."""

from __future__ import annotations

from typing import Any

from lm_eval_so.runner.store.run_metadata import RunMetadata


def metadata(**changed: Any) -> RunMetadata:  # noqa: ANN401 - any field
    """That of a run which has just begun, but for what is changed."""
    fields = {
        "state": "running",
        "started_at": "2026-11-26T01:11:23.820125+00:00",
        "dataset": {"id": "d", "path": "d/test.jsonl", "sha256": "0" * 64, "sample_count": 2},
        "run_config": {"backend": "b", "model": "m", "parameters": {}, "backend_options": {}},
        **changed,
    }
    return RunMetadata.model_validate(fields)
