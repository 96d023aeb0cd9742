"""From a plan to all that its run needs; nothing is sent, and nothing is written."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lm_eval_so.runner.backends.base import ChatBackend
from lm_eval_so.runner.backends.registry import create_backend
from lm_eval_so.runner.config.schema import RunPlan
from lm_eval_so.runner.dataset.reader import Checked
from lm_eval_so.runner.dataset.selection import Selection, select
from lm_eval_so.runner.dataset.source import DatasetSource, locate
from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.host.private import make_private
from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.request.build import RequestBuilder
from lm_eval_so.runner.run.placement import directory_of, planned
from lm_eval_so.runner.store.owner import Asked
from lm_eval_so.runner.strategy.price import Price, price_of


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A plan whose backend is there and whose dataset has been checked.

    Attributes:
        dataset: What the check of the dataset found.
        selection: Which of its samples are asked.
        identity: What decides the answers.
        asked: Tells the dataset from others with its id.
        redactor: Knows every secret that the run has to do with.
        directory: The run directory; it may not exist yet.
        requests: Makes the requests of samples.
        price: Of the model, where it is known.
    """

    plan: RunPlan
    backend: ChatBackend
    source: DatasetSource
    dataset: Checked
    selection: Selection
    identity: dict[str, Any]
    asked: Asked
    redactor: Redactor
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


def prepare(plan: RunPlan, backend: ChatBackend | None = None) -> Prepared:
    """Makes the backend, checks the dataset, finds the run directory.

    Args:
        plan: What to run.
        backend: Answers in the place of the one that the plan names.

    Raises:
        LmEvalError: The backend or the dataset cannot be used.
    """
    make_private(plan.options.private)
    backend = backend or create_backend(plan.run_config)
    backend.longest_answer = round(plan.options.max_response_mb * 1e6)
    source = locate(plan.dataset)
    dataset, selection = select(source.reader, plan.select)
    placed = planned(plan, source, backend, dataset.sha256)
    return Prepared(
        plan=plan,
        backend=backend,
        source=source,
        dataset=dataset,
        selection=selection,
        identity=placed.identity,
        asked=placed.asked,
        redactor=placed.redactor,
        directory=directory_of(placed),
        requests=RequestBuilder(
            plan.run_config,
            endpoint=backend.endpoint,
            defaults=backend.defaults,
            repeats=plan.repeats,
            trace_prefix=placed.redactor.data(plan.options.trace_prefix),
        ),
        price=_known_price(plan, backend.endpoint),
    )


def _known_price(plan: RunPlan, endpoint: str) -> Price | None:
    """The price of the plan's model, or None.

    Raises:
        ConfigError: It is not known, and the budget is in US dollars.
    """
    options, model = plan.options, plan.run_config.model
    price = price_of(model, endpoint, options.price)
    if price is None and options.budget.usd is not None:
        raise ConfigError(
            f"runner.budget.usd: no price is known for the model {model!r}; give "
            "runner.price.input and runner.price.output, in US dollars per million tokens"
        )
    return price
