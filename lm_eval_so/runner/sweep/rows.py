"""A run directory as a row of a table."""

from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any

from lm_eval_so.runner.errors import NewerVersionError, StoreError
from lm_eval_so.runner.hash_index import HashIndex
from lm_eval_so.runner.models import Value
from lm_eval_so.runner.store.metadata import read_metadata
from lm_eval_so.runner.store.read import scan_results
from lm_eval_so.runner.store.run_metadata import PromptRecord, RunMetadata
from lm_eval_so.runner.summary.summarise import Summary
from lm_eval_so.runner.text.one_line import one_line

Settings = dict[str, Any]
_DIGITS = 6  # of the digest of a prompt whose label another one has
_LONGEST_TEXT = 40  # characters of a prompt's text in a table


class Row(Value):
    """A cell in numbers; None means unknown.

    Attributes:
        settings: What distinguishes the cell from the others.
        state: State of the run; ``owed`` before it began; ``damaged`` or ``newer`` where its
            files cannot be read, and ``error`` says why.
        verdict: Whether its results may be counted on: ``complete``, ``partial``, ``invalid``;
            None also for a run of an earlier release.
        failed: Samples that ended with an error.
        owed: Samples without an outcome.
        truncated: Samples whose answer was cut off; None for an earlier release, as the next two.
        refused: Samples that were refused an answer.
        empty: Samples whose answer says nothing.
        results_per_s: Of the last command; None if it sent nothing.
        objective: The number that the config's ``objective`` names.
    """

    settings: Settings
    state: str
    verdict: str | None = None
    ok: int | None = None
    failed: int | None = None
    owed: int | None = None
    truncated: int | None = None
    refused: int | None = None
    empty: int | None = None
    latency_p50_ms: float | None = None
    latency_p99_ms: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    results_per_s: float | None = None
    directory: Path | None = None
    exit_code: int | None = None
    error: str | None = None
    objective: float | None = None

    @property
    def label(self) -> str:
        """The settings in one line."""
        return " ".join(f"{key}={value}" for key, value in self.settings.items() if value != "")

    @property
    def shown_state(self) -> str:
        """The state; of a complete run whose results are not to be counted on, its verdict."""
        return self.verdict or self.state if self.state == "complete" else self.state


def read_row(directory: Path | None, settings: Settings) -> Row:
    """The row of a run directory, which need not exist yet, and whose files may be damaged."""
    try:
        metadata = read_metadata(directory) if directory else None
        if directory is None or metadata is None:
            return Row(settings=settings, state="owed", directory=directory)
        row = Row(
            settings=settings, state=metadata.state, directory=directory, error=metadata.reason
        )
        return row.model_copy(update=_numbers(directory, metadata))
    except StoreError as error:
        return unreadable_row(directory, settings, error)


def unreadable_row(directory: Path | None, settings: Settings, error: StoreError) -> Row:
    """The row of a run directory whose files cannot be read."""
    state = "newer" if isinstance(error, NewerVersionError) else "damaged"
    return Row(settings=settings, state=state, directory=directory, error=str(error))


def _numbers(directory: Path, metadata: RunMetadata) -> dict[str, Any]:
    if metadata.summary is None:
        return _counted(directory, metadata)
    verdict = metadata.verdict and metadata.verdict.outcome
    return {**_summed_up(metadata.summary), **_kinds(metadata.summary), "verdict": verdict}


def _counted(directory: Path, metadata: RunMetadata) -> dict[str, Any]:
    """The counts of a run that was killed before it wrote its summary."""
    outcomes = HashIndex()
    for line in scan_results(directory):
        outcomes[line.sample_id, line.request_key] = int(line.ok)
    ok = sum(outcomes.values())
    owed = max(metadata.asked - len(outcomes), 0)
    return {"ok": ok, "failed": len(outcomes) - ok, "owed": owed}


def _summed_up(summary: Summary) -> dict[str, Any]:
    counts, latency = summary.status_counts, summary.latency_ms or {}
    return {
        "ok": counts.get("ok", 0),
        "failed": sum(n for status, n in counts.items() if status not in {"ok", "owed"}),
        "owed": counts.get("owed", 0),
        "latency_p50_ms": latency.get("p50"),
        "latency_p99_ms": latency.get("p99"),
        "input_tokens": summary.tokens.get("input"),
        "output_tokens": summary.tokens.get("output"),
        "cost_usd": summary.cost_usd,
        "results_per_s": summary.results_per_s if summary.requests else None,
    }


def _kinds(summary: Summary) -> dict[str, int]:
    """Unknown where the file does not tell: an earlier release did not count them."""
    names = ("truncated", "refused", "empty")
    return {name: getattr(summary, name) for name in names if name in summary.model_fields_set}


def settings_of(runs: Iterable[RunMetadata]) -> list[Settings]:
    """What decided the answers of each run, by the keys of the config."""
    all_runs = list(runs)
    digests: dict[str, set[str]] = {}
    for prompt in (metadata.prompt for metadata in all_runs):
        if prompt is not None:
            digests.setdefault(_named(prompt), set()).add(prompt.digest)
    shared = {label for label, own in digests.items() if len(own) > 1}
    return [_settings_of(metadata, shared) for metadata in all_runs]


def _settings_of(metadata: RunMetadata, shared_labels: Container[str]) -> Settings:
    config, prompt = metadata.run_config, metadata.prompt
    label = prompt and _named(prompt)
    if prompt is not None and label in shared_labels:
        label = f"{label} {prompt.digest[:_DIGITS]}"
    return {
        "dataset": metadata.dataset.id,
        "prompt": label,
        "backend": config.backend,
        "model": config.model,
        **{f"params.{name}": value for name, value in config.parameters.items()},
        **{f"backend.options.{name}": value for name, value in config.backend_options.items()},
        "variant": metadata.variant,
    }


def _named(prompt: PromptRecord) -> str:
    """Its label; where that is made of its digest, the beginning of its text."""
    text = prompt.system or prompt.template
    is_made = prompt.label == f"prompt-{prompt.digest[:_DIGITS]}"
    return one_line(text, _LONGEST_TEXT) if is_made and text else prompt.label


def varying(settings: list[Settings]) -> list[Settings]:
    """Only the keys that differ between the cells; empty if a cell has no value."""
    keys = dict.fromkeys(key for cell in settings for key in cell)
    kept = [key for key in keys if len({str(cell.get(key)) for cell in settings}) > 1]
    blank = ("", None)
    return [{k: "" if cell.get(k) in blank else cell[k] for k in kept} for cell in settings]
