"""Reasoning that stands in the text itself, between tags."""

_BEGIN, _END = "<think>", "</think>"


def split_thoughts(text: str) -> tuple[str | None, str]:
    """The reasoning, and the answer behind it.

    The beginning may be missing, where a chat template has put it into the prompt; an answer that
    was cut before the end is reasoning alone.
    """
    before, end, answer = text.partition(_END)
    begun = before.lstrip().startswith(_BEGIN)
    if not (begun or end):
        return None, text
    thoughts = before.lstrip().removeprefix(_BEGIN).strip()
    return thoughts or None, answer.lstrip()
