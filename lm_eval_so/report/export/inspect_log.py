"""A log of Inspect (``.eval``), written through inspect_ai's own API.

Its viewer shows the run, and ``inspect score`` scores it.
"""

import tempfile
from pathlib import Path
from shutil import copyfileobj
from typing import Any, BinaryIO

from lm_eval_so.report.export.cell import Cell
from lm_eval_so.report.export.export import Export, as_text
from lm_eval_so.report.export.inspect_messages import Messages, stop_reason
from lm_eval_so.runner.dataset.extras import needed
from lm_eval_so.runner.models import ChatResponse, RunResult, TokenUsage

_STATUS = {"complete": "success", "partial": "cancelled", "aborted": "error", "running": "started"}


def write(export: Export, file: BinaryIO) -> None:
    """Writes the log of one cell.

    Holds all its samples in memory, since inspect_ai writes a log from one value: some 20 KB each.

    Raises:
        LmEvalError: The extra ``inspect`` is not installed.
    """
    log = needed("inspect_ai.log", extra="inspect", purpose="--to inspect")
    model = needed("inspect_ai.model", extra="inspect", purpose="--to inspect")
    (cell,) = export.cells
    samples = list(map(_Samples(log, model, export).of, export.results(cell)))
    with tempfile.TemporaryDirectory() as folder:  # it writes to a path that ends with .eval
        path = Path(folder) / "log.eval"
        log.write_eval_log(_log(log, model, cell, samples), path, format="eval")
        with path.open("rb") as written:
            copyfileobj(written, file)


def _log(log: Any, model: Any, cell: Cell, samples: list[Any]) -> Any:
    run = cell.metadata
    name = _model_name(cell)
    ended = run.ended_at or run.started_at
    error = run.reason or "it has not ended"
    return log.EvalLog(
        status=_STATUS[run.state],
        eval=log.EvalSpec(
            created=run.started_at.isoformat(),
            task=run.dataset.id,
            task_version=run.dataset.version or 0,
            task_args={"prompt": run.prompt.label} if run.prompt else {},
            dataset=log.EvalDataset(
                name=run.dataset.name or run.dataset.id,
                location=run.dataset.path,
                samples=run.dataset.sample_count,
                sample_ids=list(dict.fromkeys(sample.id for sample in samples)),
            ),
            model=name,
            model_generate_config=_config(model, run.run_config.parameters),
            config=log.EvalConfig(epochs=run.repeats),
            packages={"lm_eval_so": run.environment.lm_eval_so or ""},
            metadata={
                "run_dir": str(cell.directory),
                "fingerprint": run.fingerprint,
                "backend": run.run_config.backend,
                "verdict": str(run.verdict or ""),
            },
        ),
        results=log.EvalResults(
            total_samples=run.asked,
            completed_samples=sum(sample.error is None for sample in samples),
        ),
        stats=log.EvalStats(
            started_at=run.started_at.isoformat(),
            completed_at=ended.isoformat(),
            model_usage=_total(model, name, samples),
        ),
        error=None
        if run.state in {"complete", "running"}
        else log.EvalError(message=error, traceback=error, traceback_ansi=error),
        samples=samples,
    )


class _Samples:
    """Makes samples of results."""

    def __init__(self, log: Any, model: Any, export: Export) -> None:
        self._log = log
        self._model = model
        self._messages = Messages(model, needed("inspect_ai.tool", extra="inspect", purpose=""))
        self._score = needed("inspect_ai.scorer", extra="inspect", purpose="").Score
        self._export = export
        self._name = _model_name(export.cells[0])

    def of(self, result: RunResult) -> Any:
        """The sample; one that failed has an error in the place of an answer."""
        context = result.request_context
        asked = [self._messages.of(dict(message)) for message in result.request_messages]
        output = self._output(result)
        answers = [choice.message for choice in output.choices[:1]]
        scores = self._export.scores_of(self._export.cells[0], result)
        return self._log.EvalSample(
            id=result.sample_id,
            epoch=result.repeat + 1,
            input=asked,
            target=_target(context.expected),
            messages=[*asked, *answers],
            output=output,
            scores={name: self._score(value=value) for name, value in scores.items()} or None,
            metadata={
                **context.sample_metadata,
                "tags": context.sample_tags,
                "request_key": result.request_key,
                "trace_id": result.trace_id,
                "attempts": result.attempts,
            },
            model_usage={self._name: output.usage} if output.usage else {},
            started_at=result.started_at.isoformat(),
            completed_at=result.completed_at.isoformat(),
            total_time=(result.completed_at - result.started_at).total_seconds(),
            working_time=None if result.latency_ms is None else result.latency_ms / 1000,
            error=self._error(result),
        )

    def _output(self, result: RunResult) -> Any:
        answer = result.response
        if answer is None:
            return self._model.ModelOutput(model=self._name)
        return self._model.ModelOutput(
            model=answer.model or self._name,
            choices=[
                self._model.ChatCompletionChoice(
                    message=self._messages.answer(choice, answer.model or self._name),
                    stop_reason=stop_reason(choice.finish_reason),
                )
                for choice in answer.choices or (answer,)
            ],
            usage=self._usage(answer, result.cost_usd),
            time=None if result.latency_ms is None else result.latency_ms / 1000,
        )

    def _usage(self, answer: ChatResponse, cost_usd: float | None) -> Any:
        """Inspect counts input that came from a cache, or went into one, apart."""
        if answer.tokens is None:
            return None
        tokens: TokenUsage = answer.tokens
        apart = (tokens.cached or 0) + (tokens.cache_written or 0)
        return self._model.ModelUsage(
            input_tokens=max((tokens.input or 0) - apart, 0),
            output_tokens=tokens.output or 0,
            total_tokens=tokens.total or (tokens.input or 0) + (tokens.output or 0),
            input_tokens_cache_read=tokens.cached,
            input_tokens_cache_write=tokens.cache_written,
            reasoning_tokens=tokens.reasoning,
            total_cost=cost_usd,
        )

    def _error(self, result: RunResult) -> Any:
        if result.error is None:
            return None
        words = f"{result.error.error_type}: {result.error.message}"
        return self._log.EvalError(message=words, traceback=words, traceback_ansi=words)


def _model_name(cell: Cell) -> str:
    """As Inspect names models, provider/name; its provider ``none`` answers nothing.

    ``inspect score`` makes the model of the log first. Of a provider of its own it would want the
    key, and a scorer that asks a model would ask the one that is being judged, and be billed.
    """
    return f"none/{cell.metadata.run_config.model}"


def _config(model: Any, parameters: dict[str, Any]) -> Any:
    """The parameters that Inspect knows, under its names; it refuses none of our values."""
    kind = model.GenerateConfig
    known = {k: v for k, v in parameters.items() if k in kind.model_fields}
    try:
        return kind.model_validate(known)
    except ValueError:
        return kind()


def _target(expected: object) -> str | list[str]:
    if expected is None:
        return ""
    return [as_text(e) for e in expected] if isinstance(expected, list) else as_text(expected)


def _total(model: Any, name: str, samples: list[Any]) -> dict[str, Any]:
    used = [sample.output.usage for sample in samples if sample.output.usage]
    return {name: sum(used, model.ModelUsage())} if used else {}
