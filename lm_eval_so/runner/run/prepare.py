"""From a plan to all that its run needs; nothing is sent, and nothing is written."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from lm_eval_so.runner.backends.base import ChatBackend
from lm_eval_so.runner.backends.registry import create_backend
from lm_eval_so.runner.config.schema import RunPlan
from lm_eval_so.runner.dataset.reader import Checked
from lm_eval_so.runner.dataset.remembered import CheckMemory
from lm_eval_so.runner.dataset.selection import Selection, select
from lm_eval_so.runner.dataset.source import DatasetSource, locate
from lm_eval_so.runner.engine.registry import works_by_shards
from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.host.private import make_private
from lm_eval_so.runner.models import TestSample
from lm_eval_so.runner.request.build import RequestBuilder
from lm_eval_so.runner.run.placement import Planned, directory_of, planned
from lm_eval_so.runner.run.prompt import PlannedPrompt, planned_prompt
from lm_eval_so.runner.strategy.fault import told_as_setup
from lm_eval_so.runner.strategy.price import Price, price_of

_CHECKED = ".checked"
"""The folder of the output root in which checks of datasets are remembered."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A plan whose backend is there and whose dataset has been checked.

    Attributes:
        dataset: What the check of the dataset found.
        memory: Of that check; it is kept once the run directory is held.
        selection: Which of its samples are asked.
        placed: Its identity, and what tells its results from others.
        directory: The run directory; it may not exist yet.
        requests: Makes the requests of samples.
        price: Of the model, where it is known.
    """

    plan: RunPlan
    backend: ChatBackend
    source: DatasetSource
    dataset: Checked
    memory: CheckMemory
    selection: Selection
    placed: Planned
    directory: Path
    requests: RequestBuilder
    price: Price | None

    @property
    def total(self) -> int:
        """Results of the selection when the run is complete."""
        return self.selection.selected * self.plan.repeats

    @property
    def whole(self) -> int:
        """Results of the whole dataset."""
        return self.dataset.count * self.plan.repeats


class Known(NamedTuple):
    """What a worker is told of a run that its driver has prepared."""

    dataset: Checked
    selection: Selection
    directory: Path


def prepare(
    plan: RunPlan, backend: ChatBackend | None = None, known: Known | None = None
) -> Prepared:
    """Makes the backend, checks the dataset, finds the run directory.

    Args:
        plan: What to run.
        backend: Answers in the place of the one that the plan names.
        known: What is taken as it is, and neither checked nor looked for.

    Raises:
        LmEvalError: The backend or the dataset cannot be used.
    """
    backend = _backend(plan, backend)
    source = locate(plan.dataset)
    prompt = planned_prompt(plan)
    memory = CheckMemory(plan.output_root / _CHECKED, plan.dataset, source.files)
    if known is None:
        examine = _examination(backend, prompt)
        dataset, selection = select(source.reader, plan.select, examine, memory.check)
        files_in = source.files_in
    else:
        dataset, selection, files_in = known.dataset, known.selection, source.folder
    backend.files_in = files_in or (None if prompt is None else prompt.files_in)
    placed = planned(plan, source, backend, prompt, dataset.sha256)
    return Prepared(
        plan=plan,
        backend=backend,
        source=source,
        dataset=dataset,
        memory=memory,
        selection=selection,
        placed=placed,
        directory=directory_of(placed) if known is None else known.directory,
        requests=_requests(placed, backend),
        price=_known_price(plan, backend.address),
    )


def _backend(plan: RunPlan, given: ChatBackend | None = None) -> ChatBackend:
    make_private(plan.options.private)
    if given is not None and works_by_shards(kind := plan.engine.kind):
        raise ConfigError(
            f"engine={kind!r}: workers make the backend themselves, so that no object can be given "
            "as backend=; name one that they can import: "
            'RunConfig(backend="python", backend_options={"callable": "bot.py:answer"}, ...)'
        )
    backend = given or create_backend(plan.run_config)
    backend.longest_answer = round(plan.options.max_response_mb * 1e6)
    return backend


def _examination(
    backend: ChatBackend, prompt: PlannedPrompt | None
) -> Callable[[TestSample], object] | None:
    """Looks at a sample as it would be sent: whether the prompt fits it, and the backend takes it.

    It raises a ValueError for one that cannot be sent. None where every sample can be.
    """
    if prompt is None and backend.takes_everything:
        return None

    def examine(sample: TestSample) -> None:
        messages = sample.messages if prompt is None else prompt.prompt.messages(sample)
        with told_as_setup("examine", ValueError):
            backend.examine(messages, sample.parameters)

    return examine


def _requests(placed: Planned, backend: ChatBackend) -> RequestBuilder:
    plan = placed.plan
    requests = RequestBuilder(
        plan.run_config,
        endpoint=backend.endpoint,
        defaults=backend.defaults,
        repeats=plan.repeats,
        trace_prefix=placed.redactor.data(plan.options.trace_prefix),
    ).with_parts(backend.sent_of if backend.sends_more else None)
    return requests if placed.prompt is None else requests.with_prompt(placed.prompt.prompt)


def _known_price(plan: RunPlan, address: str) -> Price | None:
    """The price of the plan's model, or None.

    Raises:
        ConfigError: It is not known, and the budget is in US dollars.
    """
    options, model = plan.options, plan.run_config.model
    price = price_of(model, address, options.price)
    if price is None and options.budget.usd is not None:
        raise ConfigError(
            f"runner.budget.usd: no price is known for the model {model!r}; give "
            "runner.price.input and runner.price.output, in US dollars per million tokens"
        )
    return price
