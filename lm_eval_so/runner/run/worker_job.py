"""What a worker of a cluster does: it asks the shards that it is given, and writes their parts."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lm_eval_so.runner.config.schema import RunPlan
from lm_eval_so.runner.dataset.reader import Checked
from lm_eval_so.runner.dataset.selection import Selection
from lm_eval_so.runner.dataset.shards import ShardReader
from lm_eval_so.runner.engine.base import EngineSetup, Stop
from lm_eval_so.runner.engine.cluster import Ended, Working
from lm_eval_so.runner.engine.remote.port import Port
from lm_eval_so.runner.engine.remote.worker import RemoteWorker, WorkerLeftError
from lm_eval_so.runner.errors import StoreError
from lm_eval_so.runner.masking.names import HANDED_ON, is_secret_name, names_variable
from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.run.log import run_log
from lm_eval_so.runner.run.prepare import Known, Prepared, prepare
from lm_eval_so.runner.run.recorder import Recorder
from lm_eval_so.runner.run.report import public_fault
from lm_eval_so.runner.run.results import Watch
from lm_eval_so.runner.run.shard_feed import ShardFeed, ShardQuestions
from lm_eval_so.runner.run.sharding import shard_of
from lm_eval_so.runner.store.parts.board import Board
from lm_eval_so.runner.store.parts.layout import Marker, ShardsFile
from lm_eval_so.runner.store.parts.lease import Lease
from lm_eval_so.runner.store.parts.part import Part, seal

_FROM_HERE = ("OPENAI_", "ANTHROPIC_", "AZURE_", "SSL_CERT_", "REQUESTS_CA_", HANDED_ON)
_PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy", "no_proxy"})


@dataclass(frozen=True, kw_only=True)
class WorkerJob:
    """See `engine.cluster.Job`.

    It is sent as it is, keys included: Ray keeps arguments of actors in memory, and writes the
    environment of its processes to its logs.

    Attributes:
        plan: The run.
        dataset: What the driver's check of the dataset found.
        selection: Which of its samples are asked.
        directory: The run directory.
        shards: How the dataset is cut.
        folder: The driver's working directory, which paths of the plan begin in.
        environment: Variables that the driver's machine decides.
    """

    plan: RunPlan
    dataset: Checked
    selection: Selection
    directory: Path
    shards: ShardsFile
    folder: Path
    environment: Mapping[str, str]

    async def __call__(self, port: Port, started: Callable[[Working], None]) -> Ended:
        """See `engine.cluster.Job`."""
        os.environ.update(self.environment)
        os.chdir(self.folder)
        prepared = prepare(self.plan, known=Known(self.dataset, self.selection, self.directory))
        stop = Stop(partial(public_fault, redactor=prepared.placed.redactor))
        with (
            run_log(self.directory, prepared.placed.redactor),
            ShardReader(prepared.source.reader, prepared.dataset.stamp) as reader,
        ):
            worker = self._worker(prepared, port, stop)
            feed = self._feed(prepared, reader, worker, stop)
            started(worker)
            await worker.run(feed)
            return Ended(isinstance(stop.reason, WorkerLeftError), worker.stack.record())

    def _worker(self, prepared: Prepared, port: Port, stop: Stop) -> RemoteWorker:
        plan = prepared.plan
        setup = EngineSetup(
            backend=prepared.backend,
            options=plan.options,
            stop=stop,
            samples=prepared.total,
            price=prepared.price,
        )
        return RemoteWorker(
            setup,
            port,
            _Parts(self, prepared.placed.redactor),
            lease_s=plan.engine.worker_timeout,
        )

    def _feed(
        self, prepared: Prepared, reader: ShardReader, worker: RemoteWorker, stop: Stop
    ) -> ShardFeed:
        plan = prepared.plan
        return ShardFeed(
            ShardQuestions(
                reader,
                lambda position: shard_of(self.shards.row_of(position)),
                prepared.requests,
                prepared.selection,
            ),
            worker.leases,
            Recorder(
                prepared.source.id,
                prepared.requests.configs,
                prepared.price,
                prepared.placed.redactor,
                plan.store,
            ),
            Watch(stopping=lambda: bool(stop)),
        )


class _Parts:
    """See `engine.remote.leases.Parts`."""

    def __init__(self, job: WorkerJob, redactor: Redactor) -> None:
        self._job, self._redactor = job, redactor

    def open_part(self, lease: Lease) -> Part:
        """See Parts."""
        job = self._job
        part = Part(job.directory, lease, job.shards.repeats, self._redactor)
        part.take_over(Board(job.directory, job.shards, lease.first).sources(lease.range))
        return part

    def seal(self, marker: Marker) -> None:
        """See Parts."""
        seal(self._job.directory, marker)

    def close_part(self, part: Part) -> None:
        """See Parts."""
        with suppress(StoreError):  # its lines are there as long as the machine is
            part.sync()
        part.close()


def worker_job(
    prepared: Prepared, directory: Path, shards: ShardsFile, environ: Mapping[str, str]
) -> WorkerJob:
    """The job of each worker of a run.

    Args:
        prepared: The run, as the driver has prepared it.
        directory: The run directory.
        shards: How the dataset is cut.
        environ: The driver's environment.
    """
    return WorkerJob(
        plan=prepared.plan,
        dataset=prepared.dataset,
        selection=prepared.selection,
        directory=directory.absolute(),
        shards=shards,
        folder=Path.cwd(),
        environment={name: environ[name] for name in _variables(prepared.plan, environ)},
    )


def _variables(plan: RunPlan, environ: Mapping[str, str]) -> list[str]:
    """Names of the variables that decide what is asked, and of whom."""
    named = set(_named_in(plan.run_config.backend_options))
    return [
        name
        for name in environ
        if name in named
        or name.startswith(_FROM_HERE)
        or name.lower() in _PROXIES
        or is_secret_name(name)
    ]


def _named_in(options: object) -> Iterator[str]:
    """The variables that options name, at any depth."""
    if isinstance(options, Mapping):
        for key, value in options.items():
            if isinstance(value, str) and names_variable(str(key)):
                yield value
            yield from _named_in(value)
    elif isinstance(options, list | tuple):
        for value in options:
            yield from _named_in(value)
