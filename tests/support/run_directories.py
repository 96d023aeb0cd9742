"""Run directories as a run leaves them, with the results that a test wants."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from lm_eval_so.runner.config.schema import RunnerOptions
from lm_eval_so.runner.models import ChatResponse, RunError, RunResult
from lm_eval_so.runner.summary.verdict import judge
from support.metadata import metadata
from support.results import result, summed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from lm_eval_so.runner.models import RequestContext


def answered(sample_id: str = "s", text: str = "yes", **changed: Any) -> RunResult:  # noqa: ANN401 - of a RunResult
    """An answer; fields of the response are changed by ``response``, of the context likewise."""
    response = ChatResponse.model_validate({"text": text, **changed.pop("response", {})})
    first = result(sample_id)
    context: RequestContext = first.request_context.model_copy(update=changed.pop("context", {}))
    update = {"response": response, "request_context": context, "request_key": f"key-{sample_id}"}
    return first.model_copy(update={**update, **changed})


def failed(sample_id: str = "s", message: str = "down", **changed: Any) -> RunResult:  # noqa: ANN401 - of a RunResult
    """A sample whose server is down."""
    error = RunError(
        error_type="InternalServerError", message=message, status_code=500, retryable=True
    )
    update = {"error": error, "request_key": f"key-{sample_id}", **changed}
    return result(sample_id, fails=True).model_copy(update=update)


def write_run(path: Path, results: Iterable[RunResult], **changed: Any) -> Path:  # noqa: ANN401 - of the metadata
    """A directory with these results, that of a complete run but for what is changed.

    Args:
        path: Of the directory.
        results: Its lines.
        changed: Fields of the metadata; ``model`` of the config, ``samples`` of the dataset, and
            ``options`` decide about the summary and the verdict too.
    """
    lines = list(results)
    samples = changed.pop("samples", len(lines))
    model, options = changed.pop("model", "m"), changed.pop("options", {})
    summary = summed([json.loads(line.model_dump_json()) for line in lines], samples)
    fields = {
        "state": "complete",
        "dataset": {
            "id": "d",
            "path": "d/test.jsonl",
            "sha256": "0" * 64,
            "sample_count": samples,
            "version": "1.2",
        },
        "run_config": {"backend": "b", "model": model, "parameters": {}, "backend_options": {}},
        "options": options,
        "summary": summary,
        "verdict": judge(summary, RunnerOptions.model_validate(options), samples),
        **changed,
    }
    path.mkdir(parents=True)
    (path / "run_results.jsonl").write_text(
        "".join(f"{line.model_dump_json()}\n" for line in lines), encoding="utf-8"
    )
    (path / "run_metadata.json").write_bytes(metadata(**fields).to_json())
    return path


def sweep_of(path: Path, directories: Sequence[Path]) -> Path:
    """The folder of a sweep with these cells."""
    path.mkdir(parents=True)
    cells = [{"directory": str(directory)} for directory in directories]
    record = {"schema_version": 1, "started_at": "2026-01-01T00:00:00Z", "cells": cells}
    (path / "sweep.json").write_text(json.dumps(record))
    return path
