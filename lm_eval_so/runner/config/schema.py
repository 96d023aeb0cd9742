"""The composed config as values: one model per group; unknown keys are errors."""

from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, JsonValue, field_validator, model_validator

from lm_eval_so.runner.config.group import Config, UserPath
from lm_eval_so.runner.config.select import SelectConfig
from lm_eval_so.runner.models import RunConfig
from lm_eval_so.runner.text.wording import nearest

__all__ = [
    "AutoConcurrency",
    "BackendConfig",
    "BreakerOptions",
    "BudgetOptions",
    "ComposedConfig",
    "Config",
    "DatasetConfig",
    "EngineConfig",
    "LogLevel",
    "Positive",
    "PriceOptions",
    "RunPlan",
    "RunnerOptions",
    "Seconds",
    "SelectConfig",
    "TrackingConfig",
    "UserPath",
]

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Seconds = Positive
_MOST_REPEATS = 10_000
_TRACKERS = ("none", "mlflow")


class DatasetConfig(Config):
    """Where the samples are.

    Attributes:
        path: A directory with ``test.jsonl``, or a ``.jsonl`` or ``.jsonl.gz`` file.
        metadata: ``metadata.json``, if it is not in the same directory as the samples.
    """

    path: UserPath
    metadata: UserPath | None = None


class BackendConfig(Config):
    """The backend, and how to reach it."""

    kind: Annotated[str, Field(min_length=1)]
    default_model: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)


class AutoConcurrency(Config):
    """Bounds of ``max_concurrency: auto``, in requests at once.

    Attributes:
        start: None chooses 8 to 32, by the number of samples and the server.
    """

    start: Annotated[int, Field(ge=1)] | None = None
    min: Annotated[int, Field(ge=1)] = 1
    max: Annotated[int, Field(ge=1, le=100_000)] = 256

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        start = self.min if self.start is None else self.start
        if not self.min <= start <= self.max:
            raise ValueError(f"min <= start <= max must hold, got {self.min}, {start}, {self.max}")
        return self


class BreakerOptions(Config):
    """When a run is stopped because nothing can be answered.

    Attributes:
        wait: Seconds that a server may be unreachable, at the start and during the run.
    """

    wait: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 30.0


class BudgetOptions(Config):
    """Limits of a run, including its earlier commands; None means no limit.

    Attributes:
        usd: US dollars, calculated from the price of the model.
        tokens: Of prompts and answers together.
        requests: Attempts sent.
        seconds: Of one command, starting with the preparation of its first request.
    """

    usd: Positive | None = None
    tokens: Annotated[int, Field(gt=0)] | None = None
    requests: Annotated[int, Field(gt=0)] | None = None
    seconds: Seconds | None = None


class PriceOptions(Config):
    """The price of the model in US dollars per million tokens; None looks it up."""

    input: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    output: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.input is None) != (self.output is None):
            raise ValueError("input and output must be given together")
        return self


class RunnerOptions(Config):
    """How the run is carried out; no option here changes an answer.

    Attributes:
        max_concurrency: Requests in flight at once; ``auto`` finds a good number.
        auto: Bounds of ``auto``.
        timeout: Seconds for one attempt; waiting for a slot or a limit does not count.
        max_retries: Further attempts after the first; refusals by a full server do not count, up to
            10 for each of them.
        backoff_initial: Upper bound of the first wait, in seconds; doubles each time, full jitter.
        backoff_max: Upper bound of every wait that the server did not ask for, in seconds.
        longest_pause: Seconds; the run ends if the server asks all requests to wait longer.
        rate_limit: Requests per second, evenly spaced.
        requests_per_minute: Requests per minute; up to 0.8 seconds of them start at once.
        tokens_per_minute: Tokens per minute, prompts and answers together.
        share_limits: Whether runs in one output root with the same endpoint, model and key share
            the provider's limits; ``auto`` does so for cells of a sweep that run in parallel.
        breaker: When the run is stopped because nothing can be answered.
        budget: Limits of money, tokens, requests and time.
        price: The price of the model, if the price list does not have it.
        max_failures: Exit code 0 up to this many failed samples; None for any number.
        drain_timeout: Seconds that a stop waits for requests in flight.
        max_response_mb: Megabytes of one answer, unpacked; a longer one is an error.
        private: Whether only the owner can read the files; if not, the umask decides.
        trace_prefix: Trace ids are ``<trace_prefix>-<sample id>-<8 hex>``.
        progress: ``auto`` is a bar on a terminal, else a log line every few seconds.
    """

    max_concurrency: Annotated[int, Field(ge=1, le=100_000)] | Literal["auto"] = "auto"
    auto: AutoConcurrency = AutoConcurrency()
    timeout: Seconds = 60.0
    max_retries: Annotated[int, Field(ge=0)] = 2
    backoff_initial: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.5
    backoff_max: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 30.0
    longest_pause: Seconds = 600.0
    rate_limit: Positive | None = None
    requests_per_minute: Positive | None = None
    tokens_per_minute: Positive | None = None
    share_limits: bool | Literal["auto"] = "auto"
    breaker: BreakerOptions = BreakerOptions()
    budget: BudgetOptions = BudgetOptions()
    price: PriceOptions = PriceOptions()
    max_failures: Annotated[int, Field(ge=0)] | None = 0
    drain_timeout: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 30.0
    max_response_mb: Annotated[float, Field(gt=0, le=4096)] = 64.0
    private: bool = True
    trace_prefix: Annotated[str, Field(min_length=1, max_length=100)] = "lm-eval-so"
    log_level: LogLevel = "INFO"
    progress: Literal["auto", "bar", "log", "none"] = "auto"

    @property
    def most_at_once(self) -> int:
        """Requests that may be in flight at once, at the most."""
        return self.auto.max if self.max_concurrency == "auto" else self.max_concurrency

    @field_validator("log_level", mode="before")
    @classmethod
    def _any_case(cls, level: object) -> object:
        return level.upper() if isinstance(level, str) else level


class EngineConfig(Config):
    """Who drives the requests: ``sync``, or the name of an installed package's engine."""

    kind: Annotated[str, Field(min_length=1)] = "sync"


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
    tags: dict[str, JsonValue] = Field(default_factory=dict)
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


class ComposedConfig(Config):
    """What Hydra composed: one attribute per group."""

    dataset: DatasetConfig
    backend: BackendConfig
    params: dict[str, Any] = Field(default_factory=dict)
    runner: RunnerOptions = RunnerOptions()
    engine: EngineConfig = EngineConfig()
    tracking: TrackingConfig = TrackingConfig()
    model: str | None = None
    variant: Annotated[str, Field(min_length=1)] | None = None
    repeats: Annotated[int, Field(ge=1, le=_MOST_REPEATS)] = 1
    select: SelectConfig = SelectConfig()
    metadata: dict[str, Any] = Field(default_factory=dict)
    output_root: UserPath = Path("outputs")
    output_dir: UserPath | None = None
    sweep_name: Annotated[str, Field(min_length=1)] | None = None
    objective: str | None = None


class RunPlan(Config):
    """The declaration of a run: what to ask, how, and where the results go.

    Attributes:
        select: Which samples of the dataset are asked.
        variant: Separates the run from others of the same config.
        repeats: How often each sample is asked; a ``seed`` parameter is increased each time.
        output_dir: The run directory; None derives it from ``output_root`` and the identity.
        sweep_name: Name of the folder of a sweep's record.
        objective: Names the number that a search optimises, such as ``summary.latency_ms.p50``.
    """

    dataset: DatasetConfig
    run_config: RunConfig
    select: SelectConfig = SelectConfig()
    variant: str | None = None
    repeats: Annotated[int, Field(ge=1, le=_MOST_REPEATS)] = 1
    options: RunnerOptions = RunnerOptions()
    engine: EngineConfig = EngineConfig()
    tracking: TrackingConfig = TrackingConfig()
    output_root: UserPath = Path("outputs")
    output_dir: UserPath | None = None
    sweep_name: str | None = None
    objective: str | None = None

    def limits_folder(self, *, parallel: bool = False) -> Path | None:
        """Folder through which processes share the provider's limits, if they do.

        Args:
            parallel: Whether this is a cell that runs in parallel with others.
        """
        shared = self.options.share_limits
        return self.output_root / ".limits" if (parallel if shared == "auto" else shared) else None
