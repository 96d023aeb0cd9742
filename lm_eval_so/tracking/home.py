"""A home directory for MLflow, which asks for one when it is imported."""

import os
from pathlib import Path

_NO_HOME = "/nonexistent"  # as Debian gives it to whoever has none


def have_a_home() -> None:
    """Sets HOME where it is missing and the user has no entry, as in many a container."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = _NO_HOME
