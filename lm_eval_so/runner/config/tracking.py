"""The group ``tracking`` of the config."""

from importlib.metadata import entry_points
from typing import Annotated

from pydantic import Field, JsonValue, field_validator

from lm_eval_so.runner.config.base import Config
from lm_eval_so.runner.text.wording import nearest

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_TRACKERS = ("none", "mlflow")


class TrackingConfig(Config):
    """Where the run is tracked while it runs; no option here changes an answer.

    Attributes:
        kind: Which tracker: ``none``, ``mlflow``, or an entry point in ``lm_eval_so.trackers``.
        uri: Address of MLflow; None uses ``MLFLOW_TRACKING_URI``, else a database in the output
            root.
        experiment: Name of MLflow's experiment; None uses the dataset's id.
        run_name: None uses the name of the run directory. The name of a cell of a sweep also has
            the settings that distinguish the cell.
        tags: Set on MLflow's run.
        live_interval: Seconds between two updates of the live metrics.
        results_limit_mb: Results up to this many megabytes are logged; else only their path.
        traces: Whether each sample becomes a trace.
        trace_share: Share of the samples that do, from 0 to 1; the same ones each time.
        drain_timeout: Seconds that the end of the run waits for MLflow, after its first answer.
    """

    kind: str = "none"
    uri: Annotated[str, Field(min_length=1)] | None = None
    experiment: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    run_name: Annotated[str, Field(min_length=1)] | None = None
    tags: dict[str, JsonValue] = Field(default={})
    live_interval: Seconds = 5.0
    results_limit_mb: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 20.0
    traces: bool = False
    trace_share: Annotated[float, Field(ge=0, le=1)] = 1.0
    drain_timeout: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 30.0

    @field_validator("kind")
    @classmethod
    def _is_known(cls, kind: str) -> str:
        if kind not in _TRACKERS:
            known = [*_TRACKERS, *entry_points(group="lm_eval_so.trackers").names]
            if kind not in known:
                hint = nearest(kind, known)
                raise ValueError(f"unknown tracker {kind!r}{hint} (known: {', '.join(known)})")
        return kind
