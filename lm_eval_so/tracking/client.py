"""MLflow as we use it: runs by their ids, whatever run is active, within MLflow's limits.

mlflow is imported when a client is first used, which takes seconds.
"""

import json
import os
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from lm_eval_so.runner.config.run_path import safe_name
from lm_eval_so.runner.errors import TrackingError, TrackingUnreachableError
from lm_eval_so.tracking.address import ARTIFACTS, database_of, is_remote, shown
from lm_eval_so.tracking.base import Status
from lm_eval_so.tracking.claim import KEY_TAG, claimed
from lm_eval_so.tracking.errors import translated
from lm_eval_so.tracking.names import (
    PARAM_LENGTH,
    TAG_LENGTH,
    Sanitised,
    batches,
    numbers,
    sanitise,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Param, Run, RunTag

    from lm_eval_so.runner.store.run_metadata import DatasetRecord

Tags = Mapping[str, Any]
PARENT_TAG = "mlflow.parentRunId"
_TABLES_TAG = "mlflow.loggedArtifacts"
_DIGEST_LENGTH = 36
_SERVER_ERROR = 500
_PROBE_TIMEOUT = 5  # seconds
_NO_HOME = "/nonexistent"  # as Debian gives it to whoever has none


class TrackingClient:
    """One MLflow, at one address. May be used by several threads.

    Args:
        uri: A server's address, a database's, or whatever else MLflow takes.

    Raises (all methods):
        TrackingUnreachableError: MLflow is not there; the same call may succeed later.
        TrackingError: It refuses.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        try:
            Path.home()
        except RuntimeError:  # as in many a container; MLflow asks for one when it is imported
            os.environ["HOME"] = _NO_HOME

    @cached_property
    def raw(self) -> "MlflowClient":
        """MLflow's client."""
        database = database_of(self.uri)
        # Processes that make a new database together would break it.
        alone = FileLock(f"{database}.lock") if database else nullcontext()
        with self.translated(), alone:
            from mlflow import MlflowClient  # noqa: PLC0415 - seconds, and seldom needed

            client = MlflowClient(self.uri)
            if database:
                client.search_experiments(max_results=1)
            return client

    def translated(self) -> AbstractContextManager[None]:
        """Around any call of ``raw``: MLflow's errors in our words."""
        return translated(self.uri)

    def probe(self) -> None:
        """Makes sure that MLflow is there, in a few seconds at most; its own calls take minutes."""
        if not is_remote(self.uri):
            _ = self.raw
            return
        with self.translated():
            from mlflow.utils.credentials import get_default_host_creds  # noqa: PLC0415 - as above
            from mlflow.utils.rest_utils import http_request  # noqa: PLC0415 - as above

            creds = get_default_host_creds(self.uri)  # type: ignore[no-untyped-call]
            how = {"max_retries": 0, "timeout": _PROBE_TIMEOUT, "raise_on_status": False}
            answer = http_request(creds, "/health", "GET", **how)  # type: ignore[no-untyped-call]
        if answer.status_code >= _SERVER_ERROR:
            raise TrackingUnreachableError(
                f"MLflow at {shown(self.uri)}: it answers {answer.status_code}"
            )

    def wait(self, seconds: float) -> None:
        """`probe` again and again, for so long at the most."""
        if_away, stop = retry_if_exception_type(TrackingUnreachableError), stop_after_delay(seconds)
        Retrying(retry=if_away, stop=stop, wait=wait_fixed(1), reraise=True)(self.probe)

    def experiment(self, name: str) -> str:
        """The id of the experiment, which is made if there is none."""
        with self.translated():
            found = self.raw.get_experiment_by_name(name)
            if found is None:
                self._make_experiment(name)
                found = self.raw.get_experiment_by_name(name)
        if found is None or found.lifecycle_stage != "active":
            raise TrackingError(
                f"the experiment {name!r} is deleted in MLflow at {shown(self.uri)}; restore it, "
                "or name another"
            )
        return str(found.experiment_id)

    def _make_experiment(self, name: str) -> None:
        from mlflow.exceptions import MlflowException  # noqa: PLC0415 - as above

        database = database_of(self.uri)
        # MLflow itself would put the files of a database's runs below the working directory.
        place = database.absolute().parent / ARTIFACTS / safe_name(name) if database else None
        try:
            self.raw.create_experiment(name, place.as_uri() if place else None)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # by another process just now
                raise

    def context_tags(self) -> dict[str, str]:
        """What MLflow notes of whoever makes a run: user, program, git commit."""
        from mlflow.tracking.context.registry import resolve_tags  # noqa: PLC0415 - as above

        with self.translated():
            return dict(resolve_tags())

    def create_run(
        self, experiment_id: str, name: str, tags: Tags, *, started_at: int | None = None
    ) -> str:
        """A new run, in state RUNNING; returns its id.

        `PARENT_TAG` nests it; ``started_at`` is in milliseconds since 1970, now if not given.
        """
        values = sanitise(tags, TAG_LENGTH, "long_tags").values
        with self.translated():
            run = self.raw.create_run(experiment_id, started_at, values, name)
        return str(run.info.run_id)

    def claimed_run(
        self,
        directory: Path,
        experiment_id: str,
        name: str,
        tags: Tags,
        started_at: int | None = None,
    ) -> tuple[str, bool]:
        """The run of a directory: its id, and whether it was there before; a new one is RUNNING."""
        with claimed(directory) as claim:
            with self.translated():
                there = self.raw.search_runs([experiment_id], f"tags.`{KEY_TAG}` = '{claim.key}'")
            if there:
                run_id = str(there[0].info.run_id)
                self.tags(run_id, tags)
            else:
                keyed = {KEY_TAG: claim.key, **tags}
                run_id = self.create_run(experiment_id, name, keyed, started_at=started_at)
            claim.note(self.uri, experiment_id, run_id)
            return run_id, bool(there)

    def reopen(self, run_id: str) -> None:
        """Sets a run that has ended to RUNNING."""
        with self.translated():
            self.raw.update_run(run_id, status="RUNNING")

    def run(self, run_id: str) -> "Run":
        """The run as MLflow has it."""
        with self.translated():
            return self.raw.get_run(run_id)

    def params(self, run_id: str, params: Tags) -> None:
        """Logs flat params."""
        from mlflow.entities import Param  # noqa: PLC0415 - as above

        self._log(run_id, sanitise(params, PARAM_LENGTH, "long_params"), "params", Param)

    def tags(self, run_id: str, tags: Tags) -> None:
        """Sets flat tags; an earlier value is replaced."""
        from mlflow.entities import RunTag  # noqa: PLC0415 - as above

        self._log(run_id, sanitise(tags, TAG_LENGTH, "long_tags"), "tags", RunTag)

    def _log(
        self, run_id: str, found: Sanitised, kind: str, entity: "type[Param | RunTag]"
    ) -> None:
        """What MLflow cuts or renames is kept whole as an artifact."""
        with self.translated():
            for batch in batches(found.values):
                made = [entity(*pair) for pair in batch.items()]
                self.raw.log_batch(run_id, **{kind: made})  # type: ignore[arg-type]
        for name, content in found.untruncated.items():
            self.text(run_id, json.dumps(content, ensure_ascii=False, indent=2), name)

    def metrics(
        self, run_id: str, metrics: Mapping[Any, Any], *, step: int = 0, at: int | None = None
    ) -> None:
        """Logs metrics, nested or not, ``at`` milliseconds since 1970; now if not given."""
        from mlflow.entities import Metric  # noqa: PLC0415 - as above

        moment = now_ms() if at is None else at
        logged = [Metric(name, n, moment, step) for name, n in numbers(metrics).items()]
        with self.translated():
            self.raw.log_batch(run_id, logged)

    def artifact(self, run_id: str, path: Path, folder: str | None = None) -> None:
        """Logs a file, or a folder under its own name, into an artifact folder."""
        with self.translated():
            if path.is_dir():
                inside = f"{folder}/{path.name}" if folder else path.name
                self.raw.log_artifacts(run_id, str(path), inside)
            else:
                self.raw.log_artifact(run_id, str(path), folder)

    def text(self, run_id: str, text: str, name: str) -> None:
        """Logs a text as an artifact."""
        with self.translated():
            self.raw.log_text(run_id, text, name)

    def table(self, run_id: str, text: str, name: str) -> None:
        """Logs a JSON text that the UI shows as a table, as `MlflowClient.log_table` does.

        That one would read the table back to append to it, and needs pandas.
        """
        self.text(run_id, text, name)
        self.tags(run_id, {_TABLES_TAG: json.dumps([{"path": name, "type": "table"}])})

    def dataset(self, run_id: str, dataset: "DatasetRecord") -> None:
        """Shows what the run was made of."""
        from mlflow.entities import Dataset, DatasetInput  # noqa: PLC0415 - as above

        shown_as = Dataset(
            name=dataset.id,
            digest=dataset.sha256[:_DIGEST_LENGTH],
            source_type="local",
            source=json.dumps({"uri": dataset.path}),
            profile=json.dumps({"num_rows": dataset.sample_count}),
        )
        with self.translated():
            self.raw.log_inputs(run_id, [DatasetInput(shown_as)])

    def end(self, run_id: str, status: Status, *, ended_at: int | None = None) -> None:
        """Puts the run in its last state, at a time in milliseconds since 1970; now if None."""
        from mlflow.entities import RunStatus  # noqa: PLC0415 - as above

        with self.translated():
            # MlflowClient.set_terminated would print two lines for each run to stdout, and
            # MlflowClient.update_run takes no time.
            self.raw._tracking_client.store.update_run_info(  # noqa: SLF001
                run_id, RunStatus.from_string(status), ended_at or now_ms(), None
            )


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000
