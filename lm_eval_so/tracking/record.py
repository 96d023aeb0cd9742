"""What MLflow is told of a run directory: the words are those of the config and of the summary."""

import getpass
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import yaml

from lm_eval_so.runner.store.line import Whole, check_line
from lm_eval_so.runner.store.metadata import METADATA
from lm_eval_so.runner.store.parts import PARTS, SHARDS
from lm_eval_so.runner.store.parts.layout import JOINED, marker_name, part_of
from lm_eval_so.runner.store.results import RESULTS
from lm_eval_so.runner.store.run_metadata import PromptRecord, RunMetadata
from lm_eval_so.runner.store.segments import open_results, segments
from lm_eval_so.runner.summary.summarise import Summary
from lm_eval_so.tracking.base import Status
from lm_eval_so.tracking.names import flat, numbers

CONFIG, TABLE = "config.yaml", "results_table.json"
_STATUS: dict[str, Status] = {"complete": "FINISHED", "partial": "KILLED", "aborted": "FAILED"}
_ALWAYS = {f"status_counts.{status}": 0 for status in ("ok", "error", "timeout", "owed")}
_COUNTS = (
    *("status_counts.", "error_counts.", "finish_reasons."),
    *("by_tag.", "by_replica.", "models."),
)
_NO_COUNT = ".latency_p50_ms"
_MOST_TAGS, _MOST_MODELS, _MOST_REPLICAS = 30, 10, 30
_SELDOM = ("reasoning", "tool_calls", "refusal")
"""Columns of the table that are left out where no result has them."""
_PREFIX = "lm_eval_so."


def config_of(metadata: RunMetadata) -> dict[str, Any]:
    """The config that was run, as plain data in the shape of the composed one."""
    run, selection = metadata.run_config, metadata.selection
    return {
        "dataset": {"path": metadata.dataset.path},
        **({} if metadata.prompt is None else {"prompt": _prompt(metadata.prompt)}),
        "select": {} if selection is None else selection.asked,
        "backend": {"kind": run.backend, "options": run.backend_options},
        "model": run.model,
        "params": run.parameters,
        "variant": metadata.variant,
        "repeats": metadata.repeats,
        "runner": metadata.options,
        "store": metadata.store,
        "engine": {"kind": metadata.engine},
        "metadata": run.metadata,
    }


def _prompt(prompt: PromptRecord) -> dict[str, Any]:
    few_shot = prompt.few_shot and prompt.few_shot.model_dump(exclude={"sha256"})
    return {**prompt.model_dump(exclude={"few_shot"}), "few_shot": few_shot}


def config_yaml(metadata: RunMetadata) -> str:
    """`config_of` as YAML."""
    return yaml.safe_dump(config_of(metadata), sort_keys=False, allow_unicode=True)


def params_of(metadata: RunMetadata) -> dict[str, Any]:
    """The flattened config, by the keys that override it; what is not set is left out.

    So is the selection, which is a tag: a param of MLflow's would say of the whole that it is a
    pilot.
    """
    config = config_of(metadata)
    del config["select"]
    return {key: value for key, value in flat(config).items() if value is not None and value != {}}


def tags_of(metadata: RunMetadata, directory: Path) -> dict[str, Any]:
    """What the run was made of and where it lies."""
    dataset, environment = metadata.dataset, metadata.environment
    selection = metadata.selection
    tags = {
        "mlflow.source.name": "lm-eval-so",
        "mlflow.source.type": "LOCAL",
        "mlflow.user": _user(),
        "mlflow.source.git.commit": environment.git_commit,
        f"{_PREFIX}version": environment.lm_eval_so,
        f"{_PREFIX}python": environment.python,
        f"{_PREFIX}host": environment.host,
        f"{_PREFIX}fingerprint": metadata.fingerprint,
        f"{_PREFIX}trace_prefix": metadata.trace_prefix,
        f"{_PREFIX}dataset_id": dataset.id,
        f"{_PREFIX}dataset_version": dataset.version,
        f"{_PREFIX}dataset_sha256": dataset.sha256,
        f"{_PREFIX}selected": selection and f"{selection.selected} of {selection.of}",
        f"{_PREFIX}run_dir": directory.absolute(),
        **{f"{_PREFIX}packages.{name}": v for name, v in environment.packages.items()},
    }
    return {name: value for name, value in tags.items() if value is not None}


def ended_tags_of(metadata: RunMetadata) -> dict[str, Any]:
    """How the run ended, and whether its results may be counted on."""
    tags = {"state": metadata.state, "reason": metadata.reason or ""}
    if (verdict := metadata.verdict) is not None:
        tags["verdict"] = verdict.outcome
        tags["verdict.reasons"] = "; ".join(verdict.reasons)
        tags["verdict.warnings"] = "; ".join(verdict.warnings)
    return {f"{_PREFIX}{name}": value for name, value in tags.items()}


def status_of(metadata: RunMetadata) -> Status:
    """The state that MLflow knows it by; a run whose samples failed is finished all the same."""
    return _STATUS.get(metadata.state, "KILLED")


def metrics_of(
    metadata: RunMetadata, before: Mapping[str, float] | None = None
) -> dict[str, float]:
    """The summary's numbers, flattened: ``latency_ms.p50``, ``status_counts.ok``, ``cost_usd``.

    Of many tags and models, those with the most samples, and those that have metrics already.

    Args:
        metadata: Of the run.
        before: Metrics of an earlier command; counts that the summary has no more become 0.
    """
    if metadata.summary is None:  # it was stopped at once
        return {}
    before = before or {}
    values, some = _numbers(metadata.summary), _numbers(_shortened(metadata.summary))
    found = dict(zip(numbers(values), values.items(), strict=True))  # by the names MLflow takes
    gone = {
        name: 0.0
        for name in before.keys() - found.keys()
        if name.startswith(_COUNTS) and not name.endswith(_NO_COUNT)
    }
    kept = {name: n for name, (key, n) in found.items() if key in some or name in before}
    return {**gone, **_ALWAYS, **kept}


def _numbers(summary: Summary) -> dict[str, float]:
    values = flat(summary.model_dump(exclude={"system_fingerprints"})).items()
    return {key: value for key, value in values if isinstance(value, int | float)}


def _shortened(summary: Summary) -> Summary:
    tags, models, replicas = summary.by_tag, summary.models, summary.by_replica
    by_size = sorted(tags, key=lambda tag: (-tags[tag].n, tag))[:_MOST_TAGS]
    most_used = sorted(models, key=lambda name: (-models[name].answers, name))[:_MOST_MODELS]
    busiest = sorted(replicas, key=lambda name: (-replicas[name].n, name))[:_MOST_REPLICAS]
    update = {
        "by_replica": {name: replicas[name] for name in replicas if name in busiest},
        "by_tag": {tag: tags[tag] for tag in tags if tag in by_size},
        "models": {name: models[name] for name in models if name in most_used},
    }
    return summary.model_copy(update=update)


def artifacts_of(directory: Path, limit: float) -> list[Path]:
    """The files to log: the results only up to ``limit`` bytes; the parts of a run in parts."""
    found = segments(directory)
    paths = list(dict.fromkeys(one.path for one in found))
    if not paths or sum(one.end - one.start for one in found) > limit:
        return [directory / METADATA]
    if paths == [directory / RESULTS]:
        return [directory / METADATA, *paths]
    firsts = (part_of(path.name) for path in paths)
    markers = [directory / PARTS / marker_name(part[0]) for part in firsts if part is not None]
    around = [directory / SHARDS, directory / JOINED, *markers]
    return [directory / METADATA, *paths, *(path for path in around if path.is_file())]


def results_table(directory: Path) -> bytes:
    """The results as a table that MLflow's UI shows row by row (pandas' ``split`` layout)."""
    rows = list(_rows(directory))
    never = {name for name in _SELDOM if not any(row[name] for row in rows)}
    columns = [name for name in rows[0] if name not in never] if rows else []
    data = [[row[name] for name in columns] for row in rows]
    return orjson.dumps({"columns": columns, "data": data})


def _rows(directory: Path) -> Iterator[dict[str, Any]]:
    with open_results(directory) as lines:
        for line in lines:
            try:
                result = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue  # torn by a full disk or a kill
            check_line(result, directory / RESULTS)
            if isinstance(result, dict) and result.keys() >= Whole.__required_keys__:
                yield _row(result)


def _row(result: dict[str, Any]) -> dict[str, Any]:
    response, error = result["response"] or {}, result["error"] or {}
    context, tokens = result["request_context"], response.get("tokens") or {}
    return {
        "sample_id": result["sample_id"],
        "repeat": result["repeat"],
        "status": result["status"],
        "messages": result["request_messages"],
        "text": response.get("text"),
        **{name: response.get(name) for name in _SELDOM},
        "finish_reason": response.get("finish_reason"),
        "expected": context["expected"],
        "error": f"{error['error_type']}: {error['message']}" if error else None,
        "latency_ms": result["latency_ms"],
        "input_tokens": tokens.get("input"),
        "output_tokens": tokens.get("output"),
        "cost_usd": result.get("cost_usd"),
        "attempts": result["attempts"],
        "tags": context["sample_tags"],
        "trace_id": result["trace_id"],
    }


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without users
        return None
