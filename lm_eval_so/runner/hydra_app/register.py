"""Everything that Hydra needs to know of us: resolvers, open nodes, sweepers."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core import utils as hydra_utils
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from omegaconf import DictConfig, OmegaConf

from lm_eval_so.runner.hydra_app.scratch import scratch_dir
from lm_eval_so.runner.hydra_app.shipped import shipped
from lm_eval_so.runner.hydra_app.typed_secrets import mask_secret
from lm_eval_so.runner.masking.yaml_text import without_secrets

SAMPLERS = ("tpe", "random", "grid", "gp", "cmaes", "nsgaii", "qmc")
"""``hydra/sweeper/sampler`` of a search: how it picks the values."""
_PLUGINS = str(Path(__file__).parent / "plugins")


@dataclass
class CellsConf:
    """``hydra.sweeper``: the arguments of `CellSweeper`."""

    _target_: str = "hydra_plugins.lm_eval_so_cells.CellSweeper"
    params: dict[str, Any] | None = None
    cells: dict[str, Any] | None = None


@dataclass
class SearchConf:
    """``hydra.sweeper`` with ``hydra/sweeper=optuna``: the arguments of `SearchSweeper`."""

    defaults: list[Any] = field(default_factory=lambda: ["_self_", {"sampler": "tpe"}])
    _target_: str = "hydra_plugins.lm_eval_so_cells.SearchSweeper"
    n_trials: int = 20
    n_jobs: int = 2
    direction: str = "minimize"
    sampler: Any = None
    storage: str | None = None
    study_name: str | None = None
    max_failure_rate: float = 0.0
    params: dict[str, Any] | None = None


def register() -> None:
    """Registers the resolvers, the nodes that take any key and the sweeper. May be called again."""
    OmegaConf.register_new_resolver("example", _example, replace=True)
    OmegaConf.register_new_resolver("scratch_dir", scratch_dir, replace=True)
    OmegaConf.register_new_resolver("json_value", _json_value, replace=True)
    nodes = DictConfig(
        {
            "dataset": _open_node(),  # of any group: dataset.path=questions.csv is all it takes
            "params": _open_node(),
            "backend": {"options": _open_node()},
            "tracking": {"tags": _open_node()},
            "metadata": _open_node(),
            "prompt": _open_node(),  # a file of the group need not name every key; the schema does
        }
    )
    store = ConfigStore.instance().store
    store(name="open_nodes", node=nodes)
    hydra_utils._save_config = _save_config
    if _PLUGINS not in sys.path:
        sys.path.append(_PLUGINS)  # Hydra takes plugins from the namespace hydra_plugins alone
    store(group="hydra/sweeper", name="cells", node=CellsConf)


def _save_config(cfg: DictConfig, filename: str, output_dir: Path) -> None:
    """Writes Hydra's snapshot of a job (``hydra.output_subdir``), without secrets."""
    output_dir.mkdir(parents=True, exist_ok=True)
    text = without_secrets(OmegaConf.to_yaml(cfg), mask_secret)
    (output_dir / filename).write_text(text, encoding="utf-8")


def register_search() -> None:
    """Registers our search, after Hydra has loaded its plugins: an older one has the same name."""
    Plugins.instance()
    store = ConfigStore.instance().store
    store(group="hydra/sweeper", name="optuna", node=SearchConf)
    for sampler in SAMPLERS:
        node = DictConfig({"kind": sampler}, flags={"struct": False})
        store(
            group="hydra/sweeper/sampler", name=sampler, node=node, package="hydra.sweeper.sampler"
        )


def _open_node() -> DictConfig:
    return DictConfig({}, flags={"struct": False})


def _example(path: str) -> str:
    return str(shipped("example") / path)


def _json_value(encoded: str) -> Any:
    from lm_eval_so.runner.config.compose import EncodedJson

    return EncodedJson.resolve(encoded)
