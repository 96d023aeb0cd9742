"""What a plan comes to before it is run: its identity, its directory, its price."""

from pathlib import Path
from typing import Any

from lm_eval_so.runner.backends.base import ChatBackend
from lm_eval_so.runner.backends.registry import create_backend
from lm_eval_so.runner.config.directory import run_directory
from lm_eval_so.runner.config.identity import identity
from lm_eval_so.runner.config.schema import RunPlan
from lm_eval_so.runner.dataset.source import DatasetSource, locate
from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.price import Price, price_of


def identity_of(plan: RunPlan, source: DatasetSource, backend: ChatBackend) -> dict[str, Any]:
    """What decides the answers of a run."""
    return identity(
        source.id, plan.run_config, backend.endpoint, backend.identity_options, plan.variant
    )


def directory_of(plan: RunPlan) -> Path:
    """The run directory of a plan.

    Raises:
        LmEvalError: The backend or the dataset cannot be used.
    """
    if plan.output_dir is not None:
        return plan.output_dir
    backend = create_backend(plan.run_config)
    return run_directory(plan.output_root, identity_of(plan, locate(plan.dataset), backend))


def known_price(plan: RunPlan, endpoint: str) -> Price | None:
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
