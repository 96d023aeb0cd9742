"""The sweepers, where Hydra looks for plugins: it takes none that is defined elsewhere."""

from lm_eval_so.runner.hydra_app import optuna_sweeper, sweeper


class CellSweeper(sweeper.CellSweeper):
    """``hydra/sweeper=cells``."""


class SearchSweeper(optuna_sweeper.SearchSweeper):
    """``hydra/sweeper=optuna``."""
