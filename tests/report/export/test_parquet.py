"""Parquet as pyarrow, pandas and duckdb read it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd
import pyarrow.parquet as pq

from lm_eval_so.report.export.cli import main
from support.run_directories import answered, failed, write_run

if TYPE_CHECKING:
    from pathlib import Path

    from lm_eval_so.runner.models import RunResult


def exported(tmp_path: Path, *results: RunResult, name: str = "run") -> Path:
    run, output = write_run(tmp_path / name, results), tmp_path / f"{name}.parquet"
    assert main([str(run), "--to", "parquet", "-o", str(output)]) == 0
    return output


def test_the_schema_is_the_same_whatever_the_results_are(tmp_path: Path) -> None:
    mixed = [
        answered("a", context={"expected": 1, "sample_metadata": {"x": 1}}),
        answered("b", context={"expected": ["x"], "sample_metadata": {"x": "y", "z": []}}),
        failed("c"),
    ]
    files = [
        exported(tmp_path, name="none"),
        exported(tmp_path, answered(), name="ok"),
        exported(tmp_path, failed(), name="failed"),
        exported(tmp_path, *mixed, name="mixed"),
    ]
    schemas = [pq.read_schema(path) for path in files]
    assert all(schema.equals(schemas[0]) for schema in schemas)
    types = {field.name: str(field.type) for field in schemas[0]}
    assert (types["tags"], types["error"], types["input_tokens"], types["empty"]) == (
        "list<element: string>",
        "string",
        "int64",
        "bool",
    )


def test_each_value_comes_back(tmp_path: Path) -> None:
    text = "한국어 </script>\x00\u2028" + "👍" * 10_000
    tokens = {"input": 3, "output": 5, "total": 8}
    context = {"sample_tags": ["a", "b"], "sample_metadata": {"k": 1}, "expected": {"x": None}}
    path = exported(
        tmp_path, answered("007", text, response={"tokens": tokens}, context=context), failed("b")
    )
    ok, bad = pq.read_table(path).to_pylist()
    assert (ok["sample_id"], ok["text"], ok["output_tokens"]) == ("007", text, 5)
    assert ok["tags"] == ["a", "b"]
    assert json.loads(ok["metadata"]) == {"k": 1}
    assert json.loads(ok["messages"]) == [{"role": "user", "content": "q"}]
    assert json.loads(ok["expected"]) == {"x": None}
    assert (bad["text"], bad["output_tokens"], bad["expected"]) == (None, None, None)
    assert bad["error"] == "down"


def test_pandas_and_duckdb_read_it(tmp_path: Path) -> None:
    path = exported(tmp_path, *[answered(f"s{n}") for n in range(20)], failed("bad"))
    frame: Any = pd.read_parquet(path)
    assert frame.status.value_counts().to_dict() == {"ok": 20, "error": 1}
    counted = duckdb.sql(f"select status, count(*) from '{path}' group by 1 order by 2")  # noqa: S608 - our own path
    assert counted.fetchall() == [("error", 1), ("ok", 20)]


def test_many_results_are_several_row_groups(tmp_path: Path) -> None:
    long = "x" * 9_000_000
    path = exported(tmp_path, *[answered(f"s{n}", long) for n in range(5)])
    assert pq.ParquetFile(path).metadata.num_row_groups == 2
    assert pq.read_table(path, columns=["sample_id"]).column(0).to_pylist() == [
        f"s{n}" for n in range(5)
    ]


def test_tokens_that_a_server_has_made_up_are_missing(tmp_path: Path) -> None:
    tokens = {"input": 10**30, "output": 2**63, "cached": 2**63 - 1}
    result = answered(response={"tokens": tokens})
    run, output = write_run(tmp_path / "run", []), tmp_path / "out.parquet"
    (run / "run_results.jsonl").write_text(f"{result.model_dump_json()}\n")
    assert main([str(run), "--to", "parquet", "-o", str(output)]) == 0
    (row,) = pq.read_table(output).to_pylist()
    names = ("input_tokens", "output_tokens", "cached_tokens")
    assert [row[name] for name in names] == [None, None, 2**63 - 1]
