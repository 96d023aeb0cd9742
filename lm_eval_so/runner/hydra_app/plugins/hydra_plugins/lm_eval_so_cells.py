"""Where Hydra looks for plugins: it takes none that is defined elsewhere."""

from lm_eval_so.runner.hydra_app import search, sweeper


class CellSweeper(sweeper.CellSweeper):
    """``hydra/sweeper=cells``."""


class SearchSweeper(search.SearchSweeper):
    """``hydra/sweeper=optuna``."""
