"""What ``run_metadata.json`` holds, as a value: what was run, on what, and what came of it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import orjson
from pydantic import AwareDatetime, ConfigDict, Field, StrictInt, ValidationError

from lm_eval_so.runner.errors import StoreError
from lm_eval_so.runner.models import RecordedConfig, Value
from lm_eval_so.runner.store.version import check_version
from lm_eval_so.runner.summary.summarise import Summary
from lm_eval_so.runner.summary.verdict import Verdict
from lm_eval_so.runner.text.one_line import one_line
from lm_eval_so.runner.text.sanitise import sanitise_json

METADATA_VERSION = 1
"""Version of the file. It grows when a reader of today's would misread what is written."""

_LONGEST_REASON = 300  # characters
_LAYOUT = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE

State = Literal["running", "complete", "partial", "aborted"]


class DatasetRecord(Value):
    """The dataset of a run.

    Attributes:
        path: Of the samples, as it was typed.
        location: The same with all links resolved; None in files of earlier releases.
        sha256: Of the samples, in hex.
        sample_count: Samples in it, each counted once whatever the repeats.
        metadata: The dataset's own ``metadata.json``.
        config: How its files became samples: the DatasetConfig, without its defaults; empty in
            files of earlier releases.
    """

    id: str
    name: str = ""
    version: str | None = None
    path: str
    location: str | None = None
    sha256: str
    sample_count: int
    metadata: dict[str, Any] = Field(default_factory=dict)
    config: dict[str, Any] = Field(default_factory=dict)


class SelectionRecord(Value):
    """Which samples of the dataset the last command asked for.

    Attributes:
        asked: The keys of ``select`` that were set; of many ids only how many. Of several runs that
            were merged, ``any_of`` has what each of them asked, if that was not the same.
        selected: Samples, each counted once whatever the repeats.
        of: Samples in the dataset.
    """

    asked: dict[str, Any] = Field(default_factory=dict)
    selected: int
    of: int


class ConfigRecord(RecordedConfig):
    """The RunConfig without secrets, with its notes."""

    metadata: dict[str, Any] = Field(default_factory=dict)


class FewShotRecord(Value):
    """The examples of a prompt.

    Attributes:
        path: Of their dataset, as it was typed.
        sha256: Of its samples, in hex.
    """

    path: str
    sha256: str
    count: int
    seed: int | None = None


class PromptRecord(Value):
    """What was done to the messages of each sample.

    Attributes:
        name: Stands for the prompt in the identity.
        label: Short, for names of directories and for tables.
        digest: SHA-256 of the content, in hex, whatever the name.
    """

    name: str | None = None
    label: str
    system: str | None = None
    system_mode: str | None = None
    template: str | None = None
    few_shot: FewShotRecord | None = None
    digest: str


class Environment(Value):
    """Versions and the machine.

    Attributes:
        lm_eval_so: Version of this package.
        git_commit: Of the working directory.
        packages: Versions by name.
    """

    lm_eval_so: str | None = None
    python: str | None = None
    platform: str | None = None
    host: str | None = None
    git_commit: str | None = None
    packages: dict[str, str] = Field(default_factory=dict)


class ConcurrencyChange(Value):
    """The limit on requests at once, ``at_s`` seconds after the start, and why."""

    at_s: float
    limit: int
    reason: str


class RunMetadata(Value):
    """``run_metadata.json``.

    Files of all releases are understood: what came later has a default. Keys that are not named
    here are kept, such as what only one engine finds out. The order of the fields is that of the
    file.

    Attributes:
        reason: Why the run is not complete.
        prompt: None if the messages of each sample were sent as they are.
        selection: None in files of earlier releases, which always asked the whole dataset.
        ended_at: None while the run goes on.
        variant: Sets the run apart from others of the same config.
        repeats: Times that each sample is asked.
        options: The RunnerOptions, as plain data: their keys differ by release.
        store: The StoreOptions, likewise.
        engine: Kind of the engine.
        command: The command that runs it again, without secrets; None from Python, and in files of
            earlier releases.
        fingerprint: SHA-256 of the identity, in hex.
        identity: What decides the answers.
        concurrency: The limit on requests at once, at the end.
        limits_per_minute: Limits in force, by unit: ``requests``, ``tokens``.
        starts_per_s: The start rate that refusals taught.
        verdict: Whether the results may be counted on; None without a summary.
        summary: None while the run goes on, and when it was stopped at once.
    """

    model_config = ConfigDict(extra="allow")

    schema_version: StrictInt = METADATA_VERSION
    state: State
    reason: str | None = None
    started_at: AwareDatetime
    ended_at: AwareDatetime | None = None
    dataset: DatasetRecord
    selection: SelectionRecord | None = None
    prompt: PromptRecord | None = None
    run_config: ConfigRecord
    variant: str | None = None
    repeats: int = 1
    options: dict[str, Any] = Field(default_factory=dict)
    store: dict[str, Any] = Field(default_factory=dict)
    engine: str = "sync"
    command: str | None = None
    fingerprint: str = ""
    identity: dict[str, Any] = Field(default_factory=dict)
    environment: Environment = Field(default_factory=Environment)
    concurrency: int | None = None
    concurrency_history: tuple[ConcurrencyChange, ...] | None = None
    limits_per_minute: dict[str, float] | None = None
    starts_per_s: float | None = None
    verdict: Verdict | None = None
    summary: Summary | None = None

    @property
    def asked(self) -> int:
        """Results of the selection when the run is complete."""
        selection = self.selection
        samples = self.dataset.sample_count if selection is None else selection.selected
        return samples * self.repeats

    @property
    def trace_prefix(self) -> str | None:
        """What the trace ids of the run begin with."""
        return self.options.get("trace_prefix")

    def to_json(self) -> bytes:
        """The content of the file.

        What others say in it and cannot be written, such as the name of a folder that is not UTF-8,
        is repaired (see `sanitise_json`).
        """
        try:
            return orjson.dumps(self.model_dump(), option=_LAYOUT)
        except TypeError:
            return orjson.dumps(sanitise_json(self.model_dump(mode="json")), option=_LAYOUT)


class Owner(NamedTuple):
    """Whose results a directory holds, as far as its file tells.

    Attributes:
        identity: What decided the answers; empty where the file does not tell.
        location: The dataset's file, with all links resolved.
        sha256: Digest of the dataset.
    """

    identity: Mapping[str, Any]
    location: str | None
    sha256: str | None


def parse_metadata(text: bytes, path: Path) -> RunMetadata:
    """The value that the file at ``path`` holds.

    Raises:
        NewerVersionError: A newer release wrote it.
        StoreError: It is damaged, or something else.
    """
    fields = _fields(text, path)
    if not isinstance(fields, dict):
        raise damaged(path, "not a JSON object")
    try:
        return RunMetadata.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise damaged(path, f"{where}: {first['msg']}") from error


def parse_owner(text: bytes, path: Path) -> Owner:
    """What the file at ``path`` tells of its owner, whatever else in it is damaged.

    A run can go on where these are right.

    Raises:
        NewerVersionError: A newer release wrote it.
        StoreError: It is not valid JSON.
    """
    fields = _mapping(_fields(text, path))
    dataset = _mapping(fields.get("dataset"))
    # Earlier releases wrote the path alone, as it was typed.
    location, typed = _text(dataset.get("location")), _text(dataset.get("path"))
    return Owner(
        identity=_mapping(fields.get("identity")),
        location=location or (os.path.realpath(typed) if typed else None),
        sha256=_text(dataset.get("sha256")),
    )


def damaged(path: Path, reason: object) -> StoreError:
    """The error of a file that cannot be read."""
    short = one_line(str(reason), _LONGEST_REASON)
    return StoreError(f"{path} cannot be read ({short}); move the directory away")


def _fields(text: bytes, path: Path) -> object:
    try:
        fields = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise damaged(path, error) from error
    if isinstance(fields, dict):
        check_version(path, fields.get("schema_version"), METADATA_VERSION)
    return fields


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and "\0" not in value else None
