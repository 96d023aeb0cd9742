"""Where the results of a plan are: its identity, and the directory that belongs to it."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from lm_eval_so.runner.backends.base import ChatBackend
from lm_eval_so.runner.backends.registry import create_backend
from lm_eval_so.runner.config.identity import identity
from lm_eval_so.runner.config.run_path import (
    earlier_directory,
    run_directory,
    short_fingerprint,
)
from lm_eval_so.runner.config.schema import RunPlan
from lm_eval_so.runner.dataset.check import check
from lm_eval_so.runner.dataset.reader import read_samples
from lm_eval_so.runner.dataset.source import DatasetSource, locate
from lm_eval_so.runner.errors import LmEvalError
from lm_eval_so.runner.masking.options import secrets_in, shown
from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.masking.values import secrets_in_environment
from lm_eval_so.runner.request.build import RequestBuilder
from lm_eval_so.runner.run.prompt import PlannedPrompt, planned_prompt
from lm_eval_so.runner.store.metadata import METADATA
from lm_eval_so.runner.store.owner import Asked, Question, find_own, is_same_file

_MARK = 6  # hex digits that tell directories of two datasets with one id apart


class Planned(NamedTuple):
    """A plan whose backend and dataset are there."""

    plan: RunPlan
    identity: dict[str, Any]
    asked: Asked
    redactor: Redactor
    prompt: PlannedPrompt | None

    @property
    def directory(self) -> Path:
        """The one to be made; no secret is in its name."""
        public = self.redactor.data(shown(self.identity))
        label = "" if self.prompt is None else self.redactor.data(self.prompt.record.label)
        return run_directory(self.plan.output_root, self.identity, public, label)

    def candidates(self) -> list[Path]:
        """Directories that hold results of this identity, the one to be made first."""
        root, wanted = self.plan.output_root, self.directory
        beside = sorted(wanted.parent.glob(f"{wanted.name}-*"))
        earlier = run_directory(root, self.identity), earlier_directory(root, self.identity)
        found = dict.fromkeys([wanted, *earlier, *beside, *self._with_other_labels()])
        return [path for path in found if (path / METADATA).is_file()]

    def is_home(self, path: Path) -> bool:
        """Whether a directory is one of this identity by its name, whatever the prompt's label."""
        name = rf".*-{short_fingerprint(self.identity)}(-[0-9a-f]{{{_MARK}}})?"
        return bool(re.fullmatch(name, path.name, re.DOTALL))

    def _with_other_labels(self) -> list[Path]:
        """Directories of this identity whose prompt came from elsewhere, such as a moved file."""
        if self.prompt is None:
            return []
        digest = short_fingerprint(self.identity)
        return sorted(filter(self.is_home, self.directory.parent.glob(f"*-{digest}*")))


def identity_of(
    plan: RunPlan,
    source: DatasetSource,
    backend: ChatBackend,
    prompt: PlannedPrompt | None,
) -> dict[str, Any]:
    """What decides the answers of a run."""
    found = identity(
        source.id, plan.run_config, backend.endpoint, backend.identity_options, plan.variant
    )
    return found if prompt is None else {**found, "prompt": prompt.identity}


def redactor_of(plan: RunPlan, backend: ChatBackend) -> Redactor:
    """Knows every secret that a run has to do with."""
    config = plan.run_config
    mappings = (config.backend_options, config.parameters, config.metadata, plan.tracking.tags)
    found = [secret for mapping in mappings for secret in secrets_in(mapping)]
    in_address = secrets_in({"uri": plan.tracking.uri})
    return Redactor([*found, *in_address, *backend.secrets, *secrets_in_environment()])


def planned(
    plan: RunPlan,
    source: DatasetSource,
    backend: ChatBackend,
    prompt: PlannedPrompt | None,
    sha256: str | None = None,
) -> Planned:
    """What tells where a plan's results are.

    Args:
        plan: The plan.
        source: Its dataset.
        backend: What answers it.
        prompt: What is done to the messages.
        sha256: Digest of the dataset, where it is known; else it is read when it is needed.
    """
    requests = RequestBuilder(
        plan.run_config, endpoint=backend.endpoint, defaults=backend.defaults
    ).with_parts(backend.sent_of if backend.sends_more else None)
    if prompt is not None:
        requests = requests.with_prompt(prompt.prompt)

    def questions() -> Iterator[Question]:
        for sample in read_samples(source.reader):
            yield sample.id, requests.key(sample)

    digest = cache(lambda: sha256 or check(source.reader).sha256)
    asked = Asked(source.location, digest, questions)
    decides = identity_of(plan, source, backend, prompt)
    return Planned(plan, decides, asked, redactor_of(plan, backend), prompt)


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
    if run.prompt is not None:  # another cell has the same one, from another file
        for path, other in occupied.items():
            if run.is_home(path) and other.location == run.asked.location:
                return path
    wanted = run.directory
    if wanted not in held and _is_free(wanted, run.asked, occupied):
        return wanted
    mark = hashlib.sha256(run.asked.location.encode(errors="surrogateescape")).hexdigest()[:_MARK]
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
        backend = create_backend(plan.run_config)
        return planned(plan, locate(plan.dataset), backend, planned_prompt(plan))
    except LmEvalError:
        return None
