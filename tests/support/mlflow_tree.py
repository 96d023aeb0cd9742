"""MLflow's runs as the tree that a person would draw, and a server to ask for them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from mlflow import MlflowClient

from support.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from mlflow.entities import Run


@dataclass
class Node:
    """A run and those nested in it, by name."""

    run: Run
    artifacts: set[str]
    children: dict[str, Node] = field(default_factory=dict)

    @property
    def status(self) -> str:
        return self.run.info.status

    @property
    def params(self) -> dict[str, str]:
        return self.run.data.params

    @property
    def metrics(self) -> dict[str, float]:
        return self.run.data.metrics

    @property
    def tags(self) -> dict[str, str]:
        return self.run.data.tags

    def __getitem__(self, name: str) -> Node:
        return self.children[name]

    def drawn(self) -> dict[str, object]:
        """Names and states alone."""
        return {
            f"{name} {child.status}": child.drawn() for name, child in sorted(self.children.items())
        }


def tree(uri: str, experiment: str, *, artifacts: bool = True) -> dict[str, Node]:
    """The runs of an experiment that are nested in no other, by name."""
    client = MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    assert found is not None, f"no experiment {experiment}"
    nodes = {
        run.info.run_id: Node(run, _artifacts(client, run.info.run_id) if artifacts else set())
        for run in client.search_runs([found.experiment_id])
    }
    roots: dict[str, Node] = {}
    for node in nodes.values():
        parent = node.tags.get("mlflow.parentRunId")
        place = nodes[parent].children if parent else roots
        assert node.run.info.run_name not in place, "two runs of one name in one place"
        place[node.run.info.run_name] = node
    return roots


def _artifacts(client: MlflowClient, run_id: str, folder: str | None = None) -> set[str]:
    found: set[str] = set()
    for entry in client.list_artifacts(run_id, folder):
        found |= _artifacts(client, run_id, entry.path) if entry.is_dir else {entry.path}
    return found


class MlflowServer:
    """A real ``mlflow server`` on the loopback interface."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder = folder
        self.port = port or free_port()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "server.log").open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "mlflow", "server", "--workers", "1"),
                    *("--host", "127.0.0.1", "--port", str(self.port)),
                    *("--backend-store-uri", f"sqlite:///{self.folder}/server.db"),
                    *("--artifacts-destination", str(self.folder / "artifacts")),
                ],
                env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        for _ in range(600):
            assert self.process.poll() is None, (self.folder / "server.log").read_text()
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=1):  # noqa: S310 - ours
                    return self
            except OSError:
                time.sleep(0.1)
        raise AssertionError((self.folder / "server.log").read_text())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Takes the server and its worker away, at once."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, 9)
            self.process.wait(100)
