"""A key is found in nothing that MLflow has: neither in its database nor among its files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from lm_eval_so.runner.hydra_app.app import main
from support.fake_openai import FakeOpenAI, Received, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

KEY, TYPED, HEADER = "sk-0123456789-abcdef", "f81d4fae7dec11d0a76500", "oc-918273645546372"
PASSWORD = "pass-word-99"  # noqa: S105 - nobody's
OPTION = "backend.options"


def environments_of_children() -> list[str]:
    """Those of the processes that this one has started, as they began."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            if parent == str(os.getpid()):
                found.append((folder / "environ").read_text())
        except OSError:
            continue  # it is gone
    return found


def test_a_key_is_in_nothing_that_mlflow_has(
    make_dataset: Callable[..., Path],
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    children: list[str] = []

    def told_back(received: Received, _: int) -> Reply:
        children.extend(environments_of_children())
        got = f"{received.headers} {received.path} {received.body}"
        return Reply(status=400, text=got) if received.question.endswith("1") else Reply(text=got)

    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with FakeOpenAI(told_back) as server:
        arguments = [
            *("-m", "backend=openai", "dataset=path", f"dataset.path={make_dataset(3)}"),
            *("model=a,b", f"{OPTION}.base_url={server.base_url}?api-key={TYPED}"),
            f"{OPTION}.default_headers={{X-Odd: {HEADER}}}",
            *("params.user=${oc.env:OPENAI_API_KEY}", "metadata.note=${oc.env:OPENAI_API_KEY}"),
            *("tracking=mlflow", f"tracking.uri={database}", "tracking.traces=true"),
            "tracking.tags={note: '${oc.env:OPENAI_API_KEY}', token: abc, at: 'http://me:pass-word-99@h'}",
            *("tracking.run_name=${oc.env:OPENAI_API_KEY}", "variant=${oc.env:OPENAI_API_KEY}"),
            "tracking.experiment=${oc.env:OPENAI_API_KEY}",
        ]
        assert main(arguments) == 1
    shown = capfd.readouterr()
    assert any("PATH=" in environment for environment in children)
    folder = tmp_path / "mlflow"
    files = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert [path for path in files if path.endswith("sweep.json")]
    everything = {**files, "out": shown.out.encode(), "err": shown.err.encode()}
    everything |= {"children": "".join(children).replace(f"OPENAI_API_KEY={KEY}", "").encode()}
    for secret in (KEY, TYPED, HEADER, PASSWORD):
        assert [where for where, text in everything.items() if secret.encode() in text] == []
