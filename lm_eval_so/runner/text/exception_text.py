"""What an exception says, as text that can be shown and written, whatever it holds."""

from lm_eval_so.runner.text.sanitise import sanitise_text

LONGEST_MESSAGE = 4000
"""Characters of a message that are kept: it is for a person, and many samples may have the same."""


def exception_text(error: BaseException) -> str:
    """``ValueError: what it says``."""
    return f"{type(error).__name__}: {message_text(error)}"


def message_text(message: object) -> str:
    """The message as text that is not endless, without halves of characters."""
    try:
        text = str(message)
    except Exception as error:  # noqa: BLE001 - a `__str__` of the user's
        return f"(what it says cannot be told: {type(error).__name__})"
    if len(text) > LONGEST_MESSAGE:
        text = text[: LONGEST_MESSAGE - 1] + "…"
    return sanitise_text(text)
