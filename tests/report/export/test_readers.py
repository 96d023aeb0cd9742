"""How other libraries read run_results.jsonl: what the README says, on a file that is hard to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import json as arrow_json

from support.run_directories import answered, failed

if TYPE_CHECKING:
    from pathlib import Path

COUNT, FIRST_ERROR = 12_000, 10_000


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Its first error, its first cost, and what is expected in another shape, come late."""
    ok = json.loads(answered(text="x" * 1_000, context={"expected": "a"}).model_dump_json())
    error = json.loads(failed().model_dump_json())
    late = {**ok, "cost_usd": 0.5}
    late["request_context"] = {**ok["request_context"], "expected": {"city": 1}}
    shapes = [json.dumps({**each, "sample_id": "SAMPLE"}) for each in (ok, error, late)]
    path = tmp_path_factory.mktemp("run") / "run_results.jsonl"
    with path.open("w") as file:
        for number in range(1, COUNT + 1):
            shape = shapes[(number >= FIRST_ERROR) + (number > FIRST_ERROR)]
            file.write(shape.replace("SAMPLE", f"{number:05}") + "\n")
    return str(path)


def test_pandas(path: str) -> None:
    frame: Any = pd.read_json(path, lines=True, dtype=False)
    assert frame.error.notna().to_numpy().nonzero()[0].tolist() == [FIRST_ERROR - 1]
    assert (frame.sample_id[0], frame.cost_usd.count()) == ("00001", COUNT - FIRST_ERROR)


def test_polars(path: str) -> None:
    frame = pl.read_ndjson(path, infer_schema_length=None)
    (error,) = frame["error"].drop_nulls()
    assert (error["error_type"], error["status_code"]) == ("InternalServerError", 500)
    assert (len(frame), frame["cost_usd"].count()) == (COUNT, COUNT - FIRST_ERROR)


def test_polars_with_a_schema(path: str) -> None:
    error_type = pl.Struct({"error_type": pl.String, "message": pl.String})
    schema = {"sample_id": pl.String, "cost_usd": pl.Float64, "error": error_type}
    frame = pl.read_ndjson(path, schema=schema)
    assert frame["error"].drop_nulls().to_list() == [
        {"error_type": "InternalServerError", "message": "down"}
    ]


def test_pyarrow(path: str) -> None:
    error = pa.struct([("error_type", pa.string()), ("message", pa.string())])
    schema = pa.schema([("sample_id", pa.string()), ("cost_usd", pa.float64()), ("error", error)])
    options = arrow_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    table = arrow_json.read_json(path, parse_options=options)
    assert (table.num_rows, table["error"].null_count) == (COUNT, COUNT - 1)
    assert table.column_names == ["sample_id", "cost_usd", "error"]


def test_duckdb(path: str) -> None:
    found = duckdb.sql(
        "select count(*), count(cost_usd), any_value(error.error_type) "  # noqa: S608 - our own path
        f"from read_json('{path}', sample_size=-1)"
    )
    assert found.fetchall() == [(COUNT, COUNT - FIRST_ERROR, "InternalServerError")]


@pytest.mark.filterwarnings("default")
def test_datasets(path: str, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="the extra hf is not installed")
    found = datasets.load_dataset(
        "json", data_files=path, split="train", chunksize=1 << 30, cache_dir=str(tmp_path)
    )
    assert len(found) == COUNT
    assert [each["error_type"] for each in found["error"] if each] == ["InternalServerError"]
