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
        if not all(isinstance(pair, list) and len(pair) == 2 for pair in history):  # noqa: PLR2004 - a pair
            raise ValueError("`history` is no list of pairs of a question and an answer")
        turns = [
            {"role": role, "content": as_text(text)}
            for pair in history
            for role, text in zip(("user", "assistant"), pair, strict=True)
        ]
        draft.messages = [*turns, {"role": "user", "content": as_text(draft.input)}]


LAYOUT = Layout(
    {"id": "id", "input": "instruction", "system": "system", "expected": "output"}, convert
)
