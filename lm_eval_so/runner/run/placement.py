"""Where the results of a plan are: its identity, and the directory that belongs to it."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from lm_eval_so.runner.backends.base import ChatBackend
from lm_eval_so.runner.backends.registry import create_backend
from lm_eval_so.runner.config.identity import identity
from lm_eval_so.runner.config.run_path import earlier_directory, run_directory
from lm_eval_so.runner.config.schema import RunPlan
from lm_eval_so.runner.dataset.check import check
from lm_eval_so.runner.dataset.reader import read_samples
from lm_eval_so.runner.dataset.source import DatasetSource, locate
from lm_eval_so.runner.errors import LmEvalError
from lm_eval_so.runner.masking.options import secrets_in, shown
from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.masking.values import secrets_in_environment
from lm_eval_so.runner.request.build import RequestBuilder
from lm_eval_so.runner.store.metadata import METADATA
from lm_eval_so.runner.store.owner import Asked, Question, find_own, is_same_file


class Planned(NamedTuple):
    """A plan whose backend and dataset are there."""

    plan: RunPlan
    identity: dict[str, Any]
    asked: Asked
    redactor: Redactor

    @property
    def directory(self) -> Path:
        """The one to be made; no secret is in its name."""
        public = self.redactor.data(shown(self.identity))
        return run_directory(self.plan.output_root, self.identity, public)

    def candidates(self) -> list[Path]:
        """Directories that hold results of this identity, the one to be made first."""
        root, wanted = self.plan.output_root, self.directory
        beside = sorted(wanted.parent.glob(f"{wanted.name}-*"))
        earlier = run_directory(root, self.identity), earlier_directory(root, self.identity)
        found = dict.fromkeys([wanted, *earlier, *beside])
        return [path for path in found if (path / METADATA).is_file()]


def identity_of(plan: RunPlan, source: DatasetSource, backend: ChatBackend) -> dict[str, Any]:
    """What decides the answers of a run."""
    return identity(
        source.id, plan.run_config, backend.endpoint, backend.identity_options, plan.variant
    )


def redactor_of(plan: RunPlan, backend: ChatBackend) -> Redactor:
    """Knows every secret that a run has to do with."""
    config = plan.run_config
    mappings = (config.backend_options, config.parameters, config.metadata, plan.tracking.tags)
    found = [secret for mapping in mappings for secret in secrets_in(mapping)]
    in_address = secrets_in({"uri": plan.tracking.uri})
    return Redactor([*found, *in_address, *backend.secrets, *secrets_in_environment()])


def planned(
    plan: RunPlan, source: DatasetSource, backend: ChatBackend, sha256: str | None = None
) -> Planned:
    """What tells where a plan's results are.

    Args:
        plan: The plan.
        source: Its dataset.
        backend: What answers it.
        sha256: Digest of the dataset, where it is known; else it is read when it is needed.
    """
    requests = RequestBuilder(plan.run_config, endpoint=backend.endpoint, defaults=backend.defaults)

    def questions() -> Iterator[Question]:
        for sample in read_samples(source.reader):
            yield sample.id, requests.key(sample)

    digest = cache(lambda: sha256 or check(source.reader).sha256)
    asked = Asked(source.location, digest, questions)
    return Planned(plan, identity_of(plan, source, backend), asked, redactor_of(plan, backend))


def directory_of(run: Planned, taken: Mapping[Path, Asked] | None = None) -> Path:
    """The run directory of a plan.

    Results of another dataset with the same id are left alone: this one then gets a directory
    beside theirs, named after where it is.

    Args:
        run: The plan.
        taken: Directories of other runs of the same command, from the root.
    """
    if run.plan.output_dir is not None:
        return run.plan.output_dir
    occupied = taken or {}
    held = run.candidates()
    own = find_own((path for path in held if _is_free(path, run.asked, occupied)), run.asked)
    if own is not None:
        return own
    wanted = run.directory
    if wanted not in held and _is_free(wanted, run.asked, occupied):
        return wanted
    mark = hashlib.sha256(run.asked.location.encode(errors="surrogateescape")).hexdigest()[:6]
    return wanted.with_name(f"{wanted.name}-{mark}")


def directories_of(plans: Sequence[RunPlan]) -> list[Path | None]:
    """The run directories of plans that are carried out together; None where one cannot be run.

    Two of them are in one directory only where they ask the same of the same dataset.
    """
    runs = [_planned_or_none(plan) for plan in plans]
    found: list[Path | None] = [None] * len(plans)
    taken: dict[Path, Asked] = {}
    # First those that have results of their own, so that no edited dataset takes their place.
    for wants in (_has_results, lambda _: True):
        for index, run in enumerate(runs):
            if run is None or found[index] is not None:
                continue
            with suppress(LmEvalError):  # the dataset cannot be read, as its cell will say
                if wants(run):
                    found[index] = directory = directory_of(run, taken)
                    taken.setdefault(directory.absolute(), run.asked)
    return found


def _is_free(directory: Path, asked: Asked, taken: Mapping[Path, Asked]) -> bool:
    other = taken.get(directory.absolute())
    return other is None or other.location == asked.location or other.sha256() == asked.sha256()


def _has_results(run: Planned) -> bool:
    return any(is_same_file(path, run.asked) for path in run.candidates())


def _planned_or_none(plan: RunPlan) -> Planned | None:
    try:
        return planned(plan, locate(plan.dataset), create_backend(plan.run_config))
    except LmEvalError:
        return None
