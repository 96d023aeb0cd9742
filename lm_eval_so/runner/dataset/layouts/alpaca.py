"""Alpaca: ``instruction``, an ``input`` that may be empty, and ``output``."""

from lm_eval_so.runner.dataset.cells import as_text, is_empty
from lm_eval_so.runner.dataset.layouts.base import Layout
from lm_eval_so.runner.dataset.layouts.draft import Draft


def convert(draft: Draft) -> None:
    """Puts the input below the instruction; ``history`` holds pairs of earlier turns."""
    further = draft.metadata.pop("input", None)
    if not is_empty(draft.input) and not is_empty(further):
        draft.input = f"{as_text(draft.input)}\n\n{as_text(further)}"
    history = draft.metadata.pop("history", None)
    if history and not is_empty(draft.input):
        if not (isinstance(history, list) and all(map(_is_pair, history))):
            raise ValueError("`history` is no list of pairs of a question and an answer")
        turns = [
            {"role": role, "content": as_text(text)}
            for pair in history
            for role, text in zip(("user", "assistant"), pair, strict=True)
        ]
        draft.messages = [*turns, {"role": "user", "content": as_text(draft.input)}]


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2  # noqa: PLR2004 - a pair


LAYOUT = Layout(
    {"id": "id", "input": "instruction", "system": "system", "expected": "output"}, convert
)
