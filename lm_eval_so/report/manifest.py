"""What a page knows before it reads any row: the manifest, as JSON."""

from typing import Any, Literal

from typing_extensions import TypedDict

from lm_eval_so.report.vocabulary import Scalar

FORMAT = 1

ColumnType = Literal["u8", "u16", "u32", "f32"]
CODES: dict[ColumnType, str] = {"u8": "B", "u16": "H", "u32": "I", "f32": "f"}
"""Type codes of the module `array`."""


class Dataset(TypedDict):
    """The dataset of some cells."""

    id: str
    name: str
    version: str | None
    sha256: str
    path: str
    sample_count: int


class Counts(TypedDict):
    """Results of a cell, counted from its lines; failed and owed ones are in the denominator."""

    ok: int
    failed: int
    owed: int


class Cell(TypedDict):
    """A run directory. What is not explained is as in ``run_metadata.json``.

    Attributes:
        name: What varies; no other cell has it.
        settings: The same, key by key.
        dataset: A number of the manifest's ``datasets``.
        asked: Results when it is complete.
        command: Runs the same again.
        resume: Continues it, where something is owed or failed.
    """

    name: str
    settings: dict[str, Any]
    dataset: int
    run_dir: str
    state: str
    reason: str | None
    verdict: dict[str, Any] | None
    summary: dict[str, Any] | None
    asked: int
    counts: Counts
    selection: dict[str, Any] | None
    run_config: dict[str, Any]
    prompt: dict[str, Any] | None
    options: dict[str, Any]
    identity: dict[str, Any]
    fingerprint: str
    environment: dict[str, Any]
    engine: str
    concurrency_history: list[dict[str, Any]] | None
    limits_per_minute: dict[str, float] | None
    started_at: str
    ended_at: str | None
    command: str | None
    resume: str | None


class Slot(TypedDict):
    """A place for the result of each row."""

    cell: int
    repeat: int


class Field(TypedDict):
    """A field of the samples' metadata; the column ``field.<name>`` holds numbers of values."""

    name: str
    values: list[Scalar]


class Column(TypedDict):
    """Where a column stands in the index: little-endian, ``offset`` in bytes, a multiple of 4."""

    name: str
    type: ColumnType
    count: int
    offset: int


class Ids(TypedDict):
    """Where the ids of the rows stand in the index: a JSON array of strings."""

    offset: int
    bytes: int


class Sampled(TypedDict):
    """This page is a sample: so many results of so many, chosen like this."""

    results: int
    of: int
    how: str


class Manifest(TypedDict):
    """What a page knows before it reads any row.

    Attributes:
        live: Whether it is served while a run goes on.
        rows: Questions.
        block_rows: Rows of each block but the last.
        started_at: From when the columns ``start`` and ``end`` count.
        errors, finish_reasons: By number; 0 is "".
        tagsets: Lists of numbers of ``tags``.
        revision: Grows with every change.
        damaged: Lines that could not be read.
    """

    format: int
    product: str
    created_at: str
    title: str
    live: bool
    datasets: list[Dataset]
    cells: list[Cell]
    slots: list[Slot]
    rows: int
    block_rows: int
    blocks: int
    started_at: str | None
    errors: list[str]
    finish_reasons: list[str]
    tags: list[str]
    tagsets: list[list[int]]
    fields: list[Field]
    scores: list[str]
    columns: list[Column]
    ids: Ids
    sampled: Sampled | None
    revision: int
    damaged: int
