"""A key is in no export, though the server repeats all it got."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from lm_eval_so.report.export.cli import main
from lm_eval_so.report.export.registry import FORMATS
from support.fake_openai import FakeOpenAI, Received, Reply

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

KEY, PASSWORD = "sk-very/secret+key=0123456789", "pass-word-99"


def told_back(received: Received, _: int) -> Reply:
    got = f"{received.headers} {received.path} {received.body}"
    if received.question.endswith("1"):
        return Reply(status=400, text=f"bad: {got}", extra={"sent": [got]})
    return Reply(text=f"you sent {got}")


def content(path: Path) -> bytes:
    """What is in a file, unpacked."""
    if path.suffix == ".parquet":
        return repr(pq.read_table(path).to_pylist()).encode()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as packed:
            return b"\n".join(map(packed.read, packed.namelist()))
    return path.read_bytes()


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.filterwarnings("default")  # of Inspect's dependencies
def test_no_export_has_a_key(
    to: str,
    command: Callable[..., subprocess.CompletedProcess[str]],
    make_dataset: Callable[..., Path],
    tmp_path: Path,
) -> None:
    if to == "inspect":
        pytest.importorskip("inspect_ai", reason="pip install 'lm-eval-so[inspect]'")
    with FakeOpenAI(told_back) as server:
        place = server.base_url.removeprefix("http://")
        command(
            *("backend=openai", "model=m", f"dataset.path={make_dataset(3)}", "output_dir=run"),
            *(f"backend.options.default_headers.X-Api-Key={KEY}", "runner.max_failures=0"),
            f"+backend.options.default_query={{code: {PASSWORD}}}",
            env={"OPENAI_BASE_URL": f"http://{place}", "OPENAI_API_KEY": f"{KEY}-own"},
        )
        assert KEY in str(server.requests[0].headers), "it was sent, and told back"
    output = tmp_path / FORMATS[to].file
    assert main([str(tmp_path / "run"), "--to", to, "-o", str(output)]) == 0
    found = content(output)
    assert b"question 1" in found or b"sample s1" in found
    assert KEY.encode() not in found
    assert PASSWORD.encode() not in found
