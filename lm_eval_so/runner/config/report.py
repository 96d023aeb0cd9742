"""The page to look at."""

from lm_eval_so.runner.config.base import Config


class ReportConfig(Config):
    """The page to look at, ``report.html``.

    Attributes:
        auto: Whether the end of a run or of a sweep writes it.
    """

    auto: bool = False
