"""Where MLflow is: an address, or a database of our own."""

import os
import shlex
from importlib.util import find_spec
from pathlib import Path

from lm_eval_so.runner.masking.values import public_address

DATABASE, ARTIFACTS = "mlflow.db", "mlartifacts"
_SQLITE = "sqlite:///"


def tracking_uri(given: str | None, root: Path) -> str:
    """The address: what is given, else ``MLFLOW_TRACKING_URI``, else a database in ``root``."""
    found = given or os.environ.get("MLFLOW_TRACKING_URI")
    return found or f"{_SQLITE}{(root / DATABASE).absolute().as_posix()}"


def is_remote(uri: str) -> bool:
    """Whether a server of MLflow's is asked, rather than files."""
    return uri.startswith(("http://", "https://"))


def database_of(uri: str) -> Path | None:
    """The file of an SQLite address."""
    if not uri.startswith(_SQLITE):
        return None
    path = uri[len(_SQLITE) :].partition("?")[0]
    return Path(path) if path and path != ":memory:" else None


def shown(uri: str) -> str:
    """The address without what is secret in it."""
    return public_address(uri)


def link_to(uri: str, experiment_id: str | None = None, run_id: str | None = None) -> str:
    """A link, or the command that shows what was tracked."""
    if is_remote(uri):
        page = "" if experiment_id is None else f"/#/experiments/{experiment_id}"
        return shown(uri).rstrip("/") + page + ("" if run_id is None else f"/runs/{run_id}")
    command = shlex.join(["mlflow", "ui", "--workers", "1", "--backend-store-uri", shown(uri)])
    return command if find_spec("flask") else f"{command}  (with: pip install 'lm-eval-so[ui]')"
