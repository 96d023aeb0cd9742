"""A pipeline of steps as a tree of MLflow runs, and a folder for each."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack

from lm_eval_so.pipeline.runs import Runs
from lm_eval_so.pipeline.step import Step, Tree
from lm_eval_so.runner.config.schema import TrackingConfig
from lm_eval_so.runner.errors import ArtifactNotFoundError, ConfigError, TrackingError
from lm_eval_so.runner.host.output import tell
from lm_eval_so.tracking import address
from lm_eval_so.tracking.base import TrackedRun, metadata_of
from lm_eval_so.tracking.client import TrackingClient, now_ms
from lm_eval_so.tracking.mlflow_tracker import MlflowTracker
from lm_eval_so.tracking.names import flat, numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from os import PathLike

    from lm_eval_so.runner.models import RunConfig
    from lm_eval_so.runner.run.keywords import DatasetPath, RunKeywords
    from lm_eval_so.runner.run.report import RunReport


class PipelineContext:
    """One run of a pipeline: an MLflow run, with a nested run and a folder for each step.

    ::

        with PipelineContext("my_experiment", "output_dir") as ctx:
            ctx.log_params({"model": "v1.0"})
            with ctx.step("step1_generation") as step_dir:
                ...
                ctx.log_artifact("dataset.jsonl")
                ctx.log_metrics({"count": 100})

    What is logged within a step goes to that step's run. Steps nest, repeat, and run in threads and
    coroutines; a thread that is in no step of its own is in the one that the thread which entered
    the pipeline is in, by ``with`` (`asyncio.to_thread` takes the coroutine's step along, an
    executor does not). ``async with`` works wherever ``with`` does. A run that is active in MLflow
    is neither logged into nor closed.

    An exception marks every step that it leaves FAILED, and the pipeline if it leaves that too;
    Ctrl-C and cancellation KILLED. It goes on to the caller.

    Args:
        experiment: Name of the MLflow experiment; made if there is none.
        output_dir: The pipeline's folder is ``<output_dir>/<timestamp>-<8 hex>``.
        tracking_uri: Where MLflow is; if None ``MLFLOW_TRACKING_URI``, else a database in
            ``output_dir``.
        run_name: Of the pipeline's run; if None the name of its folder.
        tags: Of the pipeline's run.
        on_unreachable: ``raise``: an MLflow that is away is an error, at the start if it is away
            then. ``warn``: the pipeline works on, what MLflow could not take is sent when it is
            back (files as they are by then), and what is missing is said at the end.

    Attributes:
        directory: The pipeline's folder, from entering on.

    Raises (on entering, and by all ``log_`` methods):
        TrackingUnreachableError: MLflow is away, and ``on_unreachable`` is ``raise``.
        TrackingError: It refuses, such as a param that has another value already.
    """

    def __init__(  # noqa: PLR0913 - each may be given alone
        self,
        experiment: str,
        output_dir: str | PathLike[str],
        *,
        tracking_uri: str | None = None,
        run_name: str | None = None,
        tags: Mapping[str, Any] | None = None,
        on_unreachable: Literal["raise", "warn"] = "raise",
    ) -> None:
        if on_unreachable not in {"raise", "warn"}:
            raise ConfigError(f"on_unreachable must be 'raise' or 'warn', got {on_unreachable!r}")
        self._output_dir = Path(output_dir)
        self._client = TrackingClient(address.tracking_uri(tracking_uri, self._output_dir))
        self._tags = dict(tags or {})
        self._patient = on_unreachable == "warn"
        self._runs = Runs(self._client, experiment, patient=self._patient)
        self._tree = Tree()
        self._root = Step(self._tree, run_name or "", self._open, self._finish)

    def __enter__(self) -> Self:
        self._root.__enter__()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._root.__exit__(kind, error, trace)

    async def __aenter__(self) -> Self:
        await self._root.__aenter__()
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        await self._root.__aexit__(kind, error, trace)

    @property
    def run_id(self) -> str:
        """Id of the current step's MLflow run, or of the pipeline's outside any step.

        Empty while MLflow is away. For code that logs by itself,
        ``mlflow.set_tracking_uri(ctx.tracking_uri)`` and ``mlflow.start_run(run_id=ctx.run_id)``
        make it the active run.
        """
        return self._here.run_id

    @property
    def tracking_uri(self) -> str:
        """Where MLflow is."""
        return self._client.uri

    @property
    def url(self) -> str:
        """Where the pipeline can be looked at: a link, or a command."""
        run_id = self._root.run_id or None
        return address.link_to(self._client.uri, self._runs.experiment_id or None, run_id)

    def step(self, name: str) -> Step:
        """A step, to be entered by ``with`` or ``async with``, which gives its folder.

        A second one of the same name in the same place is ``name-2``.
        """
        return Step(self._tree, name, self._open_step, self._runs.end)

    def log_param(self, key: str, value: object) -> None:
        """Logs a param."""
        self.log_params({key: value})

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Logs params; nested ones are joined by dots. MLflow lets no param change."""
        self._tell("params", self._client.params, flat(params))

    def log_metric(self, key: str, value: float, step: int = 0) -> None:
        """Logs a metric."""
        self.log_metrics({key: value}, step)

    def log_metrics(self, metrics: Mapping[str, Any], step: int = 0) -> None:
        """Logs metrics; ``step`` counts epochs or the like. Nested ones are joined by dots."""
        self._tell("metrics", self._client.metrics, numbers(metrics), step=step, at=now_ms())

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Sets tags."""
        self._tell("tags", self._client.tags, flat(tags))

    def log_artifact(self, path: str | PathLike[str], artifact_path: str | None = None) -> None:
        """Logs a file, or a folder under its own name.

        Args:
            path: If relative, in the step's folder, else in the working directory.
            artifact_path: Folder among the run's artifacts.

        Raises:
            ArtifactNotFoundError: It is in neither.
        """
        places = list(dict.fromkeys([self._open_here.folder / path, Path(path)]))
        found = next((place for place in places if place.exists()), None)
        if found is None:
            looked = " nor at ".join(str(place.absolute()) for place in places)
            raise ArtifactNotFoundError(f"no artifact {str(path)!r}: there is nothing at {looked}")
        self._tell(f"artifact {found}", self._client.artifact, found.absolute(), artifact_path)

    def log_report(self, report: RunReport) -> None:
        """Logs a run of lm-eval-so into the current step: config, summary and files."""
        run = TrackedRun(
            directory=report.run_dir, tracking=TrackingConfig(uri=self.tracking_uri), root=Path()
        )
        metadata = metadata_of(report.run_dir)

        def log(run_id: str) -> None:
            MlflowTracker(run, run_id).everything(metadata)

        self._tell(f"report of {report.run_dir}", log)

    def run_evaluation(
        self,
        dataset: DatasetPath | None = None,
        config: RunConfig | None = None,
        *,
        step: str = "evaluation",
        **how: Unpack[RunKeywords],
    ) -> RunReport:
        """`lm_eval_so.run` as a step, with its config, summary and files logged.

        Results are left in the step's folder, so that each run of the pipeline asks anew; with
        ``output_root`` or ``output_dir`` elsewhere, what was answered is not asked again. From a
        coroutine: ``await asyncio.to_thread(ctx.run_evaluation, dataset, config)``.

        Args:
            dataset: As `lm_eval_so.run` takes it; None where ``samples`` are given.
            config: The same.
            step: Name of the step.
            **how: The same.

        Raises:
            LmEvalError: The run could not be carried out; the step has what there is of it.
        """
        from lm_eval_so.runner.api import carry_out, complete  # noqa: PLC0415 - seldom needed

        with self.step(step) as folder:
            if "output_dir" not in how and "output_root" not in how:
                how["output_dir"] = folder
            report = carry_out(dataset, config, **how)
            self.log_report(report)
            return complete(report)

    @property
    def _here(self) -> Step:
        here = self._tree.here
        if here is None:
            raise TrackingError("the pipeline has not begun: with PipelineContext(...) as ctx: ...")
        return here

    @property
    def _open_here(self) -> Step:
        here = self._here
        if not self._root.is_open:
            raise TrackingError("the pipeline is over")
        return here

    def _open(self, root: Step) -> None:
        if self._tree.here is not None:
            raise TrackingError("a PipelineContext is entered once; make another for another run")
        name = f"{datetime.now(UTC).astimezone():%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"
        self.directory = root.folder = self._output_dir / name
        root.name = root.name or name
        if not self._patient:
            self._client.probe()
        self._begin(root, self._tags)

    def _open_step(self, step: Step) -> None:
        self._tree.grow(step, self._open_here)
        self._begin(step, {})

    def _begin(self, step: Step, tags: Mapping[str, Any]) -> None:
        step.folder.mkdir(parents=True, exist_ok=True)
        step.is_open = True
        self._runs.begin(step, tags)

    def _finish(self, root: Step, error: BaseException | None) -> None:
        missing = self._runs.finish(root, error)
        if missing:
            tell(f"MLflow lacks, of {self.directory}: {missing}")
        if root.run_id:
            tell(f"tracked in MLflow: {self.url}")

    def _tell(self, what: str, call: Callable[..., object], *values: Any, **named: Any) -> None:  # noqa: ANN401 - what the call takes
        step = self._open_here
        self._runs.call(f"{what} of {step.name}", lambda: call(step.run_id, *values, **named))
