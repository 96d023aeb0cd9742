"""Libraries that some formats need, and that only an extra installs."""

from importlib import import_module
from typing import Any

from lm_eval_so.runner.errors import DatasetError


def needed(module: str, *, extra: str, purpose: str) -> Any:  # noqa: ANN401 - an untyped library
    """Imports a library.

    Raises:
        DatasetError: It is not installed; says how to install it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # one of its own dependencies is missing
        raise DatasetError(
            f"{purpose} needs the extra {extra}: pip install 'lm-eval-so[{extra}]'"
        ) from error
