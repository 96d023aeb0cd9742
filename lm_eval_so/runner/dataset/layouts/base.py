"""What a layout is: the columns of another tool's files, and how they become a sample."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from lm_eval_so.runner.dataset.layouts.draft import Draft


class Layout(NamedTuple):
    """The files of one tool.

    Attributes:
        columns: The column of each field, where the file has it.
        convert: Puts a draft in shape; raises ValueError, in one sentence, if it cannot.
        guesses: Whether fields without a column are guessed by names.
    """

    columns: Mapping[str, str]
    convert: Callable[[Draft], None]
    guesses: bool = False
