"""Where the samples are, and how rows become samples."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from lm_eval_so.runner.config.base import Config, UserPath

Layout = Literal[
    "openai_finetune", "sharegpt", "alpaca", "openai_evals", "promptfoo_csv", "inspect"
]
_DELIMITERS = {"tab": "\t", "\\t": "\t"}


def _known_encoding(name: str) -> str:
    try:
        "".encode(name)
    except LookupError:
        raise ValueError(
            f"unknown encoding {name!r}; known are utf-8, utf-16, cp949 and others"
        ) from None
    return name


def _one_character(delimiter: str) -> str:
    found = _DELIMITERS.get(delimiter, delimiter)
    if len(found) != 1 or found in '"\r\n':
        raise ValueError(f"must be one character, or tab, got {delimiter!r}")
    return found


class DatasetColumns(Config):
    """Which column holds what; each is a column's name or a Jinja expression over the columns.

    None guesses by the column's name; an empty text means that there is no such column.

    Attributes:
        metadata: The columns that are kept as metadata; None keeps all that are not used.
    """

    id: str | None = None
    input: str | None = None
    system: str | None = None
    messages: str | None = None
    expected: str | None = None
    tags: str | None = None
    metadata: str | list[str] | None = None


class DatasetConfig(Config):
    """Where the samples are, and how rows become samples.

    Attributes:
        path: A file, a directory, a glob (``data/*.csv``) or ``hf:org/name``.
        metadata: ``metadata.json``, if it is not in the same directory as the samples.
        encoding: Of a text file; None is UTF-8.
        delimiter: Of a CSV file: one character, or ``tab``; None decides by the suffix.
        sheet: Name of the sheet of a workbook; None is the first.
        config: Name of the configuration of a Hugging Face dataset.
        split: Its split; None is ``test``, or the only one.
        revision: Its branch, tag or commit.
        layout: The files of another tool, whose columns are known.
        allow_outside: Whether ``file:`` parts may name files outside the folder of the dataset.
    """

    path: UserPath
    metadata: UserPath | None = None
    encoding: Annotated[str, AfterValidator(_known_encoding)] | None = None
    delimiter: Annotated[str, AfterValidator(_one_character)] | None = None
    sheet: Annotated[str, Field(min_length=1)] | None = None
    config: Annotated[str, Field(min_length=1)] | None = None
    split: Annotated[str, Field(min_length=1)] | None = None
    revision: Annotated[str, Field(min_length=1)] | None = None
    layout: Layout | None = None
    columns: DatasetColumns = DatasetColumns()
    allow_outside: bool = False
