"""What a newer release has written is refused, not misread."""

from lm_eval_so.runner.errors import NewerVersionError


def check_version(where: object, found: object, understood: int) -> None:
    """Makes sure that a file or line can be understood.

    Args:
        where: Path of the file.
        found: The ``schema_version`` that stands there; what is no number tells nothing.
        understood: The newest version that this release knows.

    Raises:
        NewerVersionError: A newer release wrote it.
    """
    if isinstance(found, int | float) and found > understood:
        raise NewerVersionError(where, found, understood)
