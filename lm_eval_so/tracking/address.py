"""Where MLflow is: an address, or a database of our own."""

import os
import shlex
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from lm_eval_so.runner.backends.http.address import address_fault, in_quotes
from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.masking.values import public_address

DATABASE, ARTIFACTS = "mlflow.db", "mlartifacts"
_SQLITE = "sqlite:///"
_STORES = {"file", "databricks", "databricks-uc", "uc", "sqlite", "postgresql", "mysql", "mssql"}
"""What MLflow takes before a colon, beside servers; plugins add to it."""
_PLUGINS = "mlflow.tracking_store"


def tracking_uri(given: str | None, root: Path) -> str:
    """The address: what is given, else ``MLFLOW_TRACKING_URI``, else a database in ``root``.

    Raises:
        ConfigError: MLflow could not take it.
    """
    found = given or os.environ.get("MLFLOW_TRACKING_URI")
    if not found:
        return f"{_SQLITE}{(root / DATABASE).absolute().as_posix()}"
    if fault := _fault(found):
        told_by = "tracking.uri" if given else "the variable MLFLOW_TRACKING_URI"
        raise ConfigError(f"{told_by} {fault}")
    return found


def _fault(uri: str) -> str | None:
    """What is wrong with an address, as the rest of a sentence."""
    if is_remote(uri) or in_quotes(uri):
        return address_fault(uri)
    scheme, colon, _ = uri.partition("://")
    if not uri.isprintable():
        return "holds a line break or another character that no address can have"
    dialect = scheme.partition("+")[0].lower()  # as in postgresql+psycopg
    if not colon or dialect in _STORES | {plugin.name for plugin in entry_points(group=_PLUGINS)}:
        return None
    return (
        "must be a folder, or start with http://, https:// or the name of a database (sqlite:///)"
    )


def is_remote(uri: str) -> bool:
    """Whether a server of MLflow's is asked, rather than files."""
    return uri.lower().startswith(("http://", "https://"))


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
