"""Jinja expressions over the columns of a row."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from lm_eval_so.runner.errors import DatasetError
from lm_eval_so.runner.text.sandbox import repeatable

Row = Mapping[str, Any]
_TEMPLATE = ("{{", "{%")


def expression(text: str, key: str) -> Callable[[Row], Any]:
    """What computes a value from a row: a template gives text, a bare expression any value.

    Columns are variables; ``row["Question (en)"]`` is one whose name is no variable's. It runs in
    Jinja's sandbox.

    Args:
        text: The expression.
        key: The key of the config that holds it, for errors.

    Raises:
        DatasetError: It is not valid; what it returns raises ValueError for a row.
    """
    import jinja2  # noqa: PLC0415 - most datasets need none

    environment = _environment()
    try:
        if any(mark in text for mark in _TEMPLATE):
            evaluate: Callable[..., Any] = environment.from_string(text).render
        else:
            evaluate = environment.compile_expression(text, undefined_to_none=False)
    except jinja2.TemplateError as error:
        raise DatasetError(
            f"{key}: {text!r} is neither a column nor a Jinja expression: {error.message}"
        ) from error

    def value(row: Row) -> Any:  # noqa: ANN401 - what the expression gives
        try:
            found = evaluate({**row, "row": row})
            if isinstance(found, jinja2.Undefined):
                str(found)  # raises what is missing
        except Exception as error:  # whatever a person's expression does with a row
            columns = ", ".join(f"`{name}`" for name in row)
            raise ValueError(f"{key}: {text!r}: {error} (columns: {columns})") from error
        return found

    return value


@cache
def _environment() -> Any:  # noqa: ANN401 - imported below
    from jinja2 import StrictUndefined  # noqa: PLC0415 - as above
    from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: PLC0415 - as above

    return repeatable(
        ImmutableSandboxedEnvironment(
            undefined=StrictUndefined, finalize=_finalize, keep_trailing_newline=True
        )
    )


def _finalize(value: object) -> object:
    return "" if value is None else value
