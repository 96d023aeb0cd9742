from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_so.runner.errors import StoreError
from lm_eval_so.runner.store.spent import SpentFile
from lm_eval_so.runner.summary.amount import Amount

if TYPE_CHECKING:
    from collections.abc import Callable

TOTAL = Amount(60, 1234, 0.000567, 12, 34)
counts = st.integers(0, 10**15)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spent.json"


def written(path: Path, *totals: Amount) -> None:
    file = SpentFile(path)
    for total in totals:
        file.write(total)
    file.sync()
    file.close()


def system_calls() -> int:
    """Calls of write(2) by this thread so far."""
    text = Path("/proc/thread-self/io").read_text()
    return int(dict(row.split(": ") for row in text.splitlines())["syscw"])


@given(st.builds(Amount, counts, counts, counts.map(lambda n: n / 1e9), counts, counts))
def test_the_next_command_reads_what_this_one_wrote(total: Amount) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spent.json"
        written(path, TOTAL, total)
        assert SpentFile(path).read() == pytest.approx(total)


def test_it_is_json_with_a_schema_version_for_whoever_reads_it(path: Path) -> None:
    written(path, TOTAL)
    assert orjson.loads(path.read_bytes()) == {"schema_version": 1, **TOTAL._asdict()}


def test_a_total_is_written_by_one_system_call_and_is_there_at_once(path: Path) -> None:
    file = SpentFile(path)
    for requests in range(1, 4):
        before = system_calls()
        file.write(TOTAL._replace(requests=requests))
        assert system_calls() - before == 1
        assert SpentFile(path).read() == TOTAL._replace(requests=requests)
    file.close()


def test_a_total_that_is_shorter_leaves_nothing_of_the_longer_one(path: Path) -> None:
    huge = Amount(*[1e40] * 5)
    written(path, huge, TOTAL)
    assert SpentFile(path).read() == TOTAL


@pytest.mark.parametrize("keep", [SpentFile.flush, SpentFile.close])
def test_a_total_that_can_wait_is_kept_later(path: Path, keep: Callable[[SpentFile], None]) -> None:
    file = SpentFile(path)
    file.write(TOTAL)
    later = TOTAL._replace(requests=61)
    file.write_soon(later)
    assert SpentFile(path).read() == TOTAL
    keep(file)
    assert SpentFile(path).read() == later
    file.close()


def test_a_total_that_can_wait_is_superseded_by_the_next(path: Path) -> None:
    file = SpentFile(path)
    file.write_soon(TOTAL)
    newer = TOTAL._replace(requests=62)
    file.write(newer)
    file.close()
    assert SpentFile(path).read() == newer


def test_without_a_total_there_is_no_file(path: Path) -> None:
    file = SpentFile(path)
    assert file.read() is None
    file.sync()
    file.close()
    assert not path.exists()


def test_reading_changes_nothing(path: Path) -> None:
    written(path, TOTAL)
    before = path.stat()
    written(path)
    assert SpentFile(path).read() == TOTAL
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


WHOLE = orjson.dumps({"schema_version": 1, **TOTAL._asdict()})


@pytest.mark.parametrize(
    "damaged",
    [
        pytest.param(b"", id="empty"),
        pytest.param(WHOLE[:50], id="torn"),
        pytest.param(WHOLE + b"}", id="overlong"),
        pytest.param(b"\0" * 200, id="zeros-after-a-power-cut"),
        pytest.param(b"\xff\xfe", id="no-text"),
        pytest.param(b"[1, 2]", id="list"),
        pytest.param(b"null", id="null"),
        pytest.param(b"{}", id="no-fields"),
        pytest.param(WHOLE.replace(b'"requests"', b'"other"'), id="a-field-less"),
        pytest.param(WHOLE.replace(b"60", b"-60"), id="negative"),
        pytest.param(WHOLE.replace(b"60", b'"60"'), id="string"),
        pytest.param(WHOLE.replace(b"60", b"null"), id="no-number"),
        pytest.param(WHOLE.replace(b"60", b"NaN"), id="nan"),
        pytest.param(WHOLE.replace(b":1,", b":0,"), id="version-0"),
        pytest.param(WHOLE.replace(b":1,", b':"1",'), id="version-as-text"),
    ],
)
def test_a_damaged_file_is_no_total_and_is_told_and_written_over(
    damaged: bytes, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_bytes(damaged)
    assert SpentFile(path).read() is None
    assert f"{path} is damaged" in caplog.text
    written(path, TOTAL)
    assert SpentFile(path).read() == TOTAL


def test_a_file_that_a_person_laid_out_anew_is_read_and_replaced_whole(path: Path) -> None:
    path.write_bytes(WHOLE.replace(b",", b"," + b"\n" * 200))
    assert SpentFile(path).read() == TOTAL
    more = TOTAL._replace(requests=61)
    written(path, more)
    assert SpentFile(path).read() == more


def test_the_file_of_a_newer_version_is_refused_and_left_alone(path: Path) -> None:
    newer = b'{"schema_version": 2, "requests": {"sent": 60}}'
    path.write_bytes(newer)
    with pytest.raises(StoreError, match=r"schema_version 2.*update lm-eval-so") as refused:
        SpentFile(path).read()
    assert str(path) in str(refused.value)
    assert path.read_bytes() == newer


def test_what_cannot_be_read_or_written_is_told_by_name(path: Path) -> None:
    path.mkdir()
    file = SpentFile(path)
    with pytest.raises(StoreError, match="cannot be read"):
        file.read()
    with pytest.raises(StoreError, match="cannot write"):
        file.write(TOTAL)


COUNT_UP = """
import sys
from pathlib import Path
from lm_eval_so.runner.summary.amount import Amount
from lm_eval_so.runner.store.spent import SpentFile

file = SpentFile(Path(sys.argv[1]))
earlier = file.read() or Amount()
for number in range(10**9):
    file.write(earlier.plus(Amount(number, number, number / 1e6, number, number)))
    if number == 100:
        print("under way", flush=True)
"""


def test_a_kill_leaves_a_whole_total_and_never_a_smaller_one(path: Path) -> None:
    before = Amount()
    for _ in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", COUNT_UP, str(path)], env=os.environ, stdout=subprocess.PIPE
        )
        with process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"under way\n"
            process.kill()
        found = SpentFile(path).read()
        assert found is not None
        assert found.requests >= before.requests + 100
        assert found.requests == found.tokens == found.unpriced_output_tokens
        before = found
