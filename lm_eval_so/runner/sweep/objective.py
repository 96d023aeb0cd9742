"""The number that a search optimises."""

from lm_eval_so.runner.config.messages import nearest
from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.run.report import RunReport
from lm_eval_so.runner.summary.summarise import Summary

_ROOT = "summary"
_COUNTS = {"status_counts", "error_counts"}
_WORDS = {"error_messages"}


def check_objective(path: str | None) -> None:
    """Checks, before anything is sent, that the path names a number of the summary.

    Raises:
        ConfigError: It does not.
    """
    if path is None:
        return
    root, _, rest = path.partition(".")
    name, _, part = rest.partition(".")
    wanted = f"{_ROOT}.{name}"
    known = [f"{_ROOT}.{field}" for field in Summary.model_fields if field not in _WORDS]
    if root != _ROOT or wanted not in known:
        raise ConfigError(f"objective: unknown number {path!r}{nearest(path, known)}")
    if name in _COUNTS and not part:
        raise ConfigError(f"objective: {wanted} needs the name of a count: {wanted}.NAME")
    parts = _parts(name)
    if parts is not None and part not in parts:
        raise ConfigError(
            f"objective: {wanted} needs one of {', '.join(parts)}: {wanted}.{parts[0]}"
        )


def objective_of(report: RunReport, path: str | None) -> float | None:
    """The number, or None if the run has none."""
    if path is None or report.summary is None:
        return None
    value = report.summary.model_dump()
    _, name, *parts = path.split(".")
    found = value[name]
    if parts and found is not None:
        found = found.get(".".join(parts), 0 if name in _COUNTS else None)
    return None if found is None else float(found)


def _parts(name: str) -> list[str] | None:
    if name in {"latency_ms", "time_to_first_token_ms"}:
        return ["p50", "min", "mean", "p90", "p99", "max"]
    return ["total", "input", "output"] if name == "tokens" else None
