"""The composed config as values: one model per group; unknown keys are errors."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from lm_eval_so.runner.config.base import Config, UserPath
from lm_eval_so.runner.config.dataset import DatasetColumns, DatasetConfig, Layout
from lm_eval_so.runner.config.engine import EngineConfig
from lm_eval_so.runner.config.prompt import FewShotConfig, PromptConfig
from lm_eval_so.runner.config.report import ReportConfig
from lm_eval_so.runner.config.select import SelectConfig
from lm_eval_so.runner.config.store import StoreOptions
from lm_eval_so.runner.config.tracking import TrackingConfig
from lm_eval_so.runner.models import RunConfig
from lm_eval_so.runner.models.plain_json import JsonObject

__all__ = [
    "AutoConcurrency",
    "BackendConfig",
    "BreakerOptions",
    "BudgetOptions",
    "ComposedConfig",
    "Config",
    "DatasetColumns",
    "DatasetConfig",
    "EngineConfig",
    "FewShotConfig",
    "GateOptions",
    "Layout",
    "PriceOptions",
    "PromptConfig",
    "ReportConfig",
    "RunPlan",
    "RunnerOptions",
    "SelectConfig",
    "StoreOptions",
    "TrackingConfig",
    "UserPath",
]

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Seconds = Positive
_MOST_REPEATS = 10_000


class BackendConfig(Config):
    """The backend, and how to reach it."""

    kind: Annotated[str, Field(min_length=1)]
    default_model: Annotated[str, Field(min_length=1)] | None = None
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


_Dollars = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class PriceOptions(Config):
    """The price of the model in US dollars per million tokens; None looks it up.

    Attributes:
        cached_input: Of prompt tokens that the server had in its cache; None: as ``input``.
    """

    input: _Dollars | None = None
    cached_input: _Dollars | None = None
    output: _Dollars | None = None

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.input is None) != (self.output is None):
            raise ValueError("input and output must be given together")
        if self.cached_input is not None and self.input is None:
            raise ValueError("cached_input needs input and output")
        return self


_Share = Annotated[float, Field(ge=0, le=1)]


class GateOptions(Config):
    """Upper bounds of what may be wrong with the results; None sets none.

    A run whose results exceed one of them is ``invalid``, and ends with exit code 1. Shares are of
    the samples that have an outcome, failed ones included.

    Attributes:
        failed: Share of samples without an answer.
        truncated: Share of samples whose answer was cut off by a limit on its tokens.
        refused: Share of samples that the model or a filter declined to answer.
        empty: Share of samples with an empty answer.
        unselected: Share of the dataset's samples that ``select`` leaves out.
        model_changes: Times that another model or version began to answer during the run.
    """

    failed: _Share | None = None
    truncated: _Share | None = None
    refused: _Share | None = None
    empty: _Share | None = None
    unselected: _Share | None = None
    model_changes: Annotated[int, Field(ge=0)] | None = None


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
        gate: What the results must be like for exit code 0.
        max_failures: Exit code 0 up to this many failed samples; None for any number. Where
            ``gate.failed`` is set, that alone counts.
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
    gate: GateOptions = GateOptions()
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


class ComposedConfig(Config):
    """What Hydra composed: one attribute per group."""

    dataset: DatasetConfig
    prompt: PromptConfig = PromptConfig()
    backend: BackendConfig
    params: JsonObject = Field(default_factory=dict)
    runner: RunnerOptions = RunnerOptions()
    store: StoreOptions = StoreOptions()
    engine: EngineConfig = EngineConfig()
    tracking: TrackingConfig = TrackingConfig()
    report: ReportConfig = ReportConfig()
    model: Annotated[str, Field(min_length=1)] | None = None
    variant: Annotated[str, Field(min_length=1)] | None = None
    repeats: Annotated[int, Field(ge=1, le=_MOST_REPEATS)] = 1
    select: SelectConfig = SelectConfig()
    metadata: JsonObject = Field(default_factory=dict)
    output_root: UserPath = Path("outputs")
    output_dir: UserPath | None = None
    sweep_name: Annotated[str, Field(min_length=1)] | None = None
    objective: str | None = None
    preview: Annotated[int, Field(ge=1)] | None = None
    check: Annotated[int, Field(ge=1)] | None = None


class RunPlan(Config):
    """The declaration of a run: what to ask, how, and where the results go.

    Attributes:
        select: Which samples of the dataset are asked.
        variant: Separates the run from others of the same config.
        repeats: How often each sample is asked; a ``seed`` parameter is increased each time.
        output_dir: The run directory; None derives it from ``output_root`` and the identity.
        sweep_name: Name of the folder of a sweep's record.
        objective: Names the number that a search optimises, such as ``summary.latency_ms.p50``.
        prompt_option: The user's own option of the group ``prompt``; names the prompt for people.
        preview: How many requests are shown and not sent; None sends them.
        check: How many samples are asked once, to see what comes back; nothing is written.
        command: The command that a person typed, without secrets; None where there was none.
    """

    dataset: DatasetConfig
    prompt: PromptConfig = PromptConfig()
    prompt_option: str | None = None
    run_config: RunConfig
    select: SelectConfig = SelectConfig()
    variant: str | None = None
    repeats: Annotated[int, Field(ge=1, le=_MOST_REPEATS)] = 1
    options: RunnerOptions = RunnerOptions()
    store: StoreOptions = StoreOptions()
    engine: EngineConfig = EngineConfig()
    tracking: TrackingConfig = TrackingConfig()
    report: ReportConfig = ReportConfig()
    output_root: UserPath = Path("outputs")
    output_dir: UserPath | None = None
    sweep_name: str | None = None
    objective: str | None = None
    preview: int | None = None
    check: int | None = None
    command: str | None = None

    @property
    def only_shows(self) -> bool:
        """Whether requests are looked at, and no run begins."""
        return self.preview is not None or self.check is not None

    def limits_folder(self, *, parallel: bool = False) -> Path | None:
        """Folder through which processes share the provider's limits, if they do.

        Args:
            parallel: Whether this is a cell that runs in parallel with others.
        """
        shared = self.options.share_limits
        return self.output_root / ".limits" if (parallel if shared == "auto" else shared) else None
