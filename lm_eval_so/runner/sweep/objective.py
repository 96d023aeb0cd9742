"""The number that a search optimises."""

from typing import Any, NamedTuple

from lm_eval_so.runner.config.messages import nearest
from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.models import Value
from lm_eval_so.runner.run.report import RunReport
from lm_eval_so.runner.summary.agreement import RepeatAgreement
from lm_eval_so.runner.summary.by_replica import ReplicaSummary
from lm_eval_so.runner.summary.by_tag import TagSummary
from lm_eval_so.runner.summary.summarise import Summary

_ROOT = "summary"
_COUNTS = {"status_counts", "error_counts", "finish_reasons"}
"""By a name that a run need not have: then it is 0."""
_DISTRIBUTION = ["p50", "min", "mean", "p90", "p99", "max"]
_PARTS = {
    "latency_ms": _DISTRIBUTION,
    "time_to_first_token_ms": _DISTRIBUTION,
    "time_to_first_answer_token_ms": _DISTRIBUTION,
    "tokens": ["total", "input", "output", "cached", "reasoning"],
    "repeats": list(RepeatAgreement.model_fields),
}
_NAMED = {
    "by_tag": ("TAG", list(TagSummary.model_fields)),
    "by_replica": ("SERVER", list(ReplicaSummary.model_fields)),
    "models": ("MODEL", ["answers"]),
    "system_fingerprints": ("NAME", ["answers"]),
}
"""What stands for the name, and the numbers of each."""
_WORDS = {"error_messages", "missing"}


class _Path(NamedTuple):
    """``summary.by_tag.ko.failed``: field ``by_tag``, name ``ko``, part ``failed``."""

    field: str
    name: str
    part: str


def check_objective(path: str | None) -> None:
    """Checks, before anything is sent, that the path names a number of the summary.

    Raises:
        ConfigError: It does not.
    """
    if path is None:
        return
    wanted, known = _parsed(path), [f for f in Summary.model_fields if f not in _WORDS]
    place = f"{_ROOT}.{wanted.field}"
    if not path.startswith(f"{_ROOT}.") or wanted.field not in known:
        near = nearest(path, [f"{_ROOT}.{field}" for field in known])
        raise ConfigError(f"objective: unknown number {path!r}{near}")
    if wanted.field in _COUNTS and not wanted.part:
        raise ConfigError(f"objective: {place} needs the name of a count: {place}.NAME")
    if wanted.field in _PARTS and wanted.part not in _PARTS[wanted.field]:
        parts = _PARTS[wanted.field]
        raise ConfigError(f"objective: {place} needs one of {', '.join(parts)}: {place}.{parts[0]}")
    if wanted.field in _NAMED:
        kind, parts = _NAMED[wanted.field]
        if not wanted.name or wanted.part not in parts:
            raise ConfigError(
                f"objective: {path} needs {'a name and ' if not wanted.name else ''}one of "
                f"{', '.join(parts)}: {place}.{wanted.name or kind}.{parts[0]}"
            )
    elif wanted.part and wanted.field not in {*_COUNTS, *_PARTS}:
        raise ConfigError(f"objective: {place} is one number, without .{wanted.part}")


def objective_of(report: RunReport, path: str | None) -> float | None:
    """The number, or None if the run has none."""
    if path is None or report.summary is None:
        return None
    wanted = _parsed(path)
    found: Any = getattr(report.summary, wanted.field)
    if wanted.name:
        found = found.get(wanted.name)
    if wanted.part and found is not None:
        absent = 0 if wanted.field in _COUNTS else None
        values = found.model_dump() if isinstance(found, Value) else found
        found = values.get(wanted.part, absent)
    return None if found is None else float(found)


def _parsed(path: str) -> _Path:
    """The parts of a path; the names of tags, models and counts may have dots in them."""
    _, _, rest = path.partition(".")
    field, _, part = rest.partition(".")
    if field not in _NAMED:
        return _Path(field, "", part)
    name, _, number = part.rpartition(".")
    return _Path(field, name, number)
