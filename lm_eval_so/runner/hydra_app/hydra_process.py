"""A process as Hydra wants it: it reads ``sys.argv``, and decides by itself how to fail."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hydra.core.global_hydra import GlobalHydra

from lm_eval_so.runner.hydra_app.register import register, register_search

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_FULL_ERROR = "HYDRA_FULL_ERROR"


def wants_traceback() -> bool:
    """Whether the user asks for tracebacks, in Hydra's own way."""
    return os.environ.get(_FULL_ERROR, "0") != "0"


@contextmanager
def hydra_process(arguments: Sequence[str]) -> Iterator[None]:
    """Sets what Hydra takes from the process, and puts it back.

    Args:
        arguments: Overrides and flags for Hydra.
    """
    if sys.version_info >= (3, 14):
        # Hydra 1.3.8 gives argparse a lazy help text, which 3.14 checks and refuses.
        argparse.ArgumentParser._check_help = lambda self, action: None  # type: ignore[attr-defined] # noqa: ARG005
    register()
    register_search()
    argv, full_error = sys.argv, os.environ.get(_FULL_ERROR)
    handlers, level = logging.root.handlers[:], logging.root.level
    sys.argv = ["lm-eval-so", *arguments]
    os.environ[_FULL_ERROR] = "1"  # so that its errors reach us, and not the terminal
    try:
        yield
    finally:
        sys.argv = argv
        logging.root.handlers[:] = handlers  # --info sets up logging of its own
        logging.root.setLevel(level)
        if full_error is None:
            del os.environ[_FULL_ERROR]
        else:
            os.environ[_FULL_ERROR] = full_error
        GlobalHydra.instance().clear()
