"""What a run is from Python: keywords to a plan."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, Self, TypedDict

from pydantic import AfterValidator

from lm_eval_so.runner.backends.base import ChatBackend, Send
from lm_eval_so.runner.config.base import Config, UserPath
from lm_eval_so.runner.config.schema import (
    DatasetConfig,
    EngineConfig,
    PromptConfig,
    RunnerOptions,
    RunPlan,
    SelectConfig,
    StoreOptions,
    TrackingConfig,
)
from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.host.private import make_private
from lm_eval_so.runner.models import RunConfig
from lm_eval_so.runner.run.spool import Given, Samples
from lm_eval_so.runner.text.wording import nearest

DatasetPath = str | PathLike[str]
Dataset = DatasetPath | DatasetConfig
_OUTPUT_ROOT = "outputs"


def _is_text(name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError(f"holds half of a character, which is no text, got {name!r}") from None
    return name


class _Place(Config):
    """The names among the keywords: of files, folders and samples."""

    dataset: UserPath | None = None
    dataset_id: Annotated[str, AfterValidator(_is_text)] = ""
    metadata: UserPath | None = None
    output_root: UserPath | None = None
    output_dir: UserPath | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """Those that are given.

        Raises:
            ConfigError: One of them names nothing that can be.
        """
        return cls(**{name: given[name] for name in cls.model_fields if name in given})


class RunKeywords(TypedDict, total=False):
    """Keywords that all functions here take.

    Attributes:
        samples: In the place of a dataset: dicts or TestSamples, read by ``for`` or ``async for``;
            or a DataFrame. They are kept in a file in the output root.
        dataset_id: Names these samples, and with that the run directory.
        select: Which samples are asked; all if not given.
        options: How the run is carried out; the defaults are those of the command line.
        store: What a result line keeps of an answer.
        prompt: What is done to the messages of each sample before they are sent.
        backend: Answers instead of the backend that the config names; an ``async def
            send(request)`` will do.
        metadata: ``metadata.json``, where it does not stand beside the samples.
        variant: Sets the run apart from others of the same config.
        repeats: Times that each sample is asked; 1 if not given.
        engine: What drives the requests, or its kind; ``sync`` if not given.
        output_root: Run directories are made in it; ``outputs`` if not given.
        output_dir: Names the run directory itself.
        tracking: ``TrackingConfig(kind="mlflow")`` tells MLflow of the run.
        handle_signals: Ctrl-C, SIGTERM and SIGHUP stop the run as on the command line, and a
            handler of the program's own is called too. `run` does so unless this is False; the
            others leave signals alone unless it is True.
    """

    samples: Samples
    dataset_id: str
    select: SelectConfig
    options: RunnerOptions
    store: StoreOptions
    prompt: PromptConfig
    backend: ChatBackend | Send
    metadata: DatasetPath
    variant: str
    repeats: int
    engine: str | EngineConfig
    output_root: DatasetPath
    output_dir: DatasetPath
    tracking: TrackingConfig
    handle_signals: bool


def source_of(dataset: Dataset | None, how: RunKeywords) -> Dataset | Given:
    """The dataset's path, or the samples that a file is to be made of.

    Raises:
        ConfigError: Both are given, or none, or what would name the samples is missing.
        TypeError: There is no such keyword.
    """
    _check_keywords(how)
    if (dataset is None) == ("samples" not in how):
        raise ConfigError("give either a dataset (its path) or samples=, and not both")
    if dataset is not None:
        if "dataset_id" in how:
            raise ConfigError("dataset_id names samples=; a dataset has its id in metadata.json")
        return dataset
    if not how.get("dataset_id") or "metadata" in how:
        raise ConfigError(
            "samples need dataset_id='...', by which the same call finds its results again, and "
            "take no metadata"
        )
    make_private(how.get("options", RunnerOptions()).private)
    place = _Place.of(how)
    root = place.output_root or place.output_dir or Path(_OUTPUT_ROOT)
    return Given(how["samples"], place.dataset_id, root)


def plan_of(dataset: Dataset, config: RunConfig, how: RunKeywords) -> RunPlan:
    """The declaration that the keywords stand for."""
    place = _Place.of(how)
    return RunPlan(
        dataset=_dataset(dataset, place.metadata),
        prompt=how.get("prompt", PromptConfig()),
        run_config=config,
        select=how.get("select", SelectConfig()),
        variant=how.get("variant"),
        repeats=how.get("repeats", 1),
        options=how.get("options", RunnerOptions()),
        store=how.get("store", StoreOptions()),
        engine=engine_of(how),
        output_root=place.output_root or Path(_OUTPUT_ROOT),
        output_dir=place.output_dir,
        tracking=how.get("tracking", TrackingConfig()),
    )


def _dataset(dataset: Dataset, metadata: Path | None) -> DatasetConfig:
    beside = {} if metadata is None else {"metadata": metadata}
    if isinstance(dataset, DatasetConfig):
        return dataset.model_copy(update=beside)
    place = _Place.of({"dataset": dataset})
    assert place.dataset is not None  # noqa: S101 - it was given
    return DatasetConfig(path=place.dataset, **beside)


def _check_keywords(how: RunKeywords) -> None:
    for name in how.keys() - RunKeywords.__annotations__.keys():
        hint = nearest(name, RunKeywords.__annotations__)
        raise TypeError(f"unexpected keyword argument {name!r}{hint}")


def engine_of(how: RunKeywords) -> EngineConfig:
    """What drives the requests."""
    given = how.get("engine", "sync")
    return EngineConfig(kind=given) if isinstance(given, str) else given
