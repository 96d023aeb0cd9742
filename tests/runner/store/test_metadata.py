from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from lm_eval_so.runner.errors import ForeignRunError, NewerVersionError, StoreError
from lm_eval_so.runner.store.metadata import (
    METADATA,
    find_runs,
    read_metadata,
    write_metadata,
)
from lm_eval_so.runner.store.owner import check_owner
from support.metadata import metadata

if TYPE_CHECKING:
    from pathlib import Path

IDENTITY: dict[str, Any] = {
    "dataset": "d",
    "model": "m",
    "parameters": {"temperature": 0, "stop": ["a"]},
    "backend_options": {},
}


def test_what_was_written_is_read(tmp_path: Path) -> None:
    written = metadata(options={"이름": [1, None]})
    write_metadata(tmp_path, written)
    assert read_metadata(tmp_path) == written
    assert (tmp_path / METADATA).read_bytes().endswith(b"\n")


def test_a_new_file_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    write_metadata(tmp_path, metadata())
    before = (tmp_path / METADATA).stat().st_ino
    with (tmp_path / METADATA).open("rb") as reader:
        write_metadata(tmp_path, metadata(state="complete"))
        assert orjson.loads(reader.read())["state"] == "running", "who reads it sees it whole"
    assert (tmp_path / METADATA).stat().st_ino != before
    assert [path.name for path in tmp_path.iterdir()] == [METADATA]


FULL_DISK = """
import resource, sys
from pathlib import Path
from lm_eval_so.runner.errors import StoreError
from lm_eval_so.runner.store.metadata import read_metadata, write_metadata

directory = Path(sys.argv[1])
running = read_metadata(directory)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    long = {"state": "complete", "reason": "x" * 5000}
    write_metadata(directory, running.model_copy(update=long))
except StoreError as error:
    print(error)
"""
KILLED = """
import os, sys
from pathlib import Path
from lm_eval_so.runner.store.files import replace_file

def pieces():
    yield b"x" * 1_000_000
    os.kill(os.getpid(), 9)

replace_file(Path(sys.argv[1]) / "run_metadata.json", pieces())
"""


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        pytest.param(FULL_DISK, 0, "cannot write", id="disk-full"),
        pytest.param(KILLED, -9, "", id="killed"),
    ],
)
def test_the_old_file_stands_until_the_new_one_is_whole(
    script: str, code: int, said: str, tmp_path: Path
) -> None:
    write_metadata(tmp_path, metadata())
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == code, done.stderr
    assert said in done.stdout
    assert read_metadata(tmp_path) == metadata()
    write_metadata(tmp_path, metadata(state="complete"))
    assert [path.name for path in tmp_path.iterdir()] == [METADATA]


def test_a_new_directory_belongs_to_nobody(tmp_path: Path) -> None:
    assert read_metadata(tmp_path) is None
    check_owner(tmp_path, IDENTITY)


def test_a_directory_of_the_same_identity_is_ours(tmp_path: Path) -> None:
    write_metadata(tmp_path, metadata(state="partial", identity=IDENTITY))
    check_owner(tmp_path, orjson.loads(orjson.dumps(IDENTITY)))


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"model": "n"}, ["model is 'm' there and 'n' here"]),
        (
            {"parameters": {"temperature": 0.5, "stop": ["a"]}},
            ["parameters.temperature is 0 there and 0.5 here"],
        ),
        (
            {"parameters": {"temperature": 0}},
            ["parameters.stop is ['a'] there and None here"],
        ),
        (
            {"model": "n", "dataset": "e"},
            ["dataset is 'd' there and 'e' here", "model is 'm' there and 'n' here"],
        ),
        (
            {"backend_options": {"seed": 1}},
            ["backend_options.seed is None there and 1 here"],
        ),
    ],
    ids=["value", "nested", "missing", "two", "new"],
)
def test_a_foreign_directory_is_refused_with_the_keys_that_differ(
    changed: dict[str, Any], named: list[str], tmp_path: Path
) -> None:
    write_metadata(tmp_path, metadata(identity=IDENTITY))
    with pytest.raises(ForeignRunError) as refused:
        check_owner(tmp_path, {**IDENTITY, **changed})
    sentence = str(refused.value)
    assert f"{tmp_path} belongs to another configuration: {'; '.join(named)};" in sentence
    assert "output_dir" in sentence


def test_results_without_metadata_are_refused(tmp_path: Path) -> None:
    (tmp_path / "run_results.jsonl").write_text("{}\n")
    with pytest.raises(ForeignRunError, match=r"holds a run_results\.jsonl but no run_metadata"):
        check_owner(tmp_path, IDENTITY)


def test_an_empty_results_file_is_nobodys(tmp_path: Path) -> None:
    (tmp_path / "run_results.jsonl").write_text("")
    check_owner(tmp_path, IDENTITY)


@pytest.mark.parametrize(
    "damaged",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b'{"state": "runn', id="torn"),
        pytest.param(b"\0" * 100, id="nuls"),
        pytest.param(b"\xff\xfe", id="no-utf8"),
        pytest.param(b"[]", id="array"),
        pytest.param(b"null", id="null"),
        pytest.param(b"{}", id="no-identity"),
        pytest.param(b'{"identity": null}', id="null-identity"),
        pytest.param(b'{"identity": "x"}', id="identity-of-another-type"),
        pytest.param(b'{"identity": {"parameters": 7}}', id="parameters-of-another-type"),
    ],
)
def test_damaged_metadata_is_one_sentence(damaged: bytes, tmp_path: Path) -> None:
    (tmp_path / METADATA).write_bytes(damaged)
    with pytest.raises(StoreError) as refused:
        check_owner(tmp_path, IDENTITY)
    sentence = str(refused.value)
    assert str(tmp_path) in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize(
    "damaged",
    [
        pytest.param({"summary": 3}, id="summary"),
        pytest.param({"state": "asleep"}, id="state"),
        pytest.param({"started_at": None, "dataset": []}, id="dataset"),
    ],
)
def test_a_run_goes_on_where_only_its_identity_can_be_read(
    damaged: dict[str, Any], tmp_path: Path
) -> None:
    fields = {**orjson.loads(metadata(identity=IDENTITY).to_json()), **damaged}
    (tmp_path / METADATA).write_bytes(orjson.dumps(fields))
    check_owner(tmp_path, IDENTITY)


def test_an_identity_that_nests_without_end_is_one_sentence(tmp_path: Path) -> None:
    deep = b'{"identity": {"a": ' + b'{"a": ' * 1000 + b"1" + b"}" * 1002
    (tmp_path / METADATA).write_bytes(deep)
    with pytest.raises(StoreError, match="nested too deep") as refused:
        check_owner(tmp_path, IDENTITY)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 1000


def test_what_a_newer_release_wrote_is_not_ours_to_go_on_with(tmp_path: Path) -> None:
    text = orjson.dumps({"schema_version": 2, "identity": IDENTITY})
    (tmp_path / METADATA).write_bytes(text)
    with pytest.raises(NewerVersionError, match=r"run_metadata\.json has schema_version 2"):
        check_owner(tmp_path, IDENTITY)
    assert (tmp_path / METADATA).read_bytes() == text


def test_copies_that_mlflow_keeps_are_no_runs(tmp_path: Path) -> None:
    for name in ("d/run", "mlartifacts/1/artifacts"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / METADATA).write_text("{}")
    assert find_runs(tmp_path) == [tmp_path / "d/run"]
    copies = tmp_path / "mlartifacts/1/artifacts"
    assert find_runs(copies) == [copies], "who names it, means it"
