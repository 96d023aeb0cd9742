"""Where Hydra looks for plugins: it takes none that is defined elsewhere."""

from lm_eval_so.runner import sweeper


class CellSweeper(sweeper.CellSweeper):
    """``hydra/sweeper=cells``."""
