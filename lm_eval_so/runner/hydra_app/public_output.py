"""What a command prints, without secrets: errors, and what Hydra shows of the config."""

from __future__ import annotations

import io
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lm_eval_so.runner.host.output import tell
from lm_eval_so.runner.hydra_app.typed_secrets import mask_secret
from lm_eval_so.runner.masking.yaml_text import without_secrets
from lm_eval_so.runner.run.exit_code import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lm_eval_so.runner.masking.redactor import Redactor


def fail(sentence: object, code: int = ExitCode.NOT_CARRIED_OUT) -> int:
    """Says why, and returns the exit code."""
    tell(f"error: {public_text(str(sentence))}")
    return code


def public_text(text: str) -> str:
    """A text as it may be shown, whoever put a secret into it."""
    return _redactor().text(mask_secret(text))


@contextmanager
def public_prints() -> Iterator[None]:
    """Takes secrets out of all that is printed within; it appears at the end."""
    public = _redactor().data
    streams = sys.stdout, sys.stderr
    printed = sys.stdout, sys.stderr = io.StringIO(), io.StringIO()
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams
        for stream, text in zip(streams, printed, strict=True):
            stream.write(public(without_secrets(text.getvalue(), mask_secret)))


def _redactor() -> Redactor:
    from lm_eval_so.runner.masking.redactor import Redactor
    from lm_eval_so.runner.masking.values import secrets_in_environment

    return Redactor(secrets_in_environment())
