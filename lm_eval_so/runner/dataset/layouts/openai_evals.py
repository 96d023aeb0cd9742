"""OpenAI Evals: ``input`` is a list of messages or a text, ``ideal`` is what is expected."""

from lm_eval_so.runner.dataset.cells import from_json
from lm_eval_so.runner.dataset.layouts.base import Layout
from lm_eval_so.runner.dataset.layouts.draft import Draft


def convert(draft: Draft) -> None:
    """A list of messages is the conversation."""
    turns = from_json(draft.input, list)
    if turns is not None:
        draft.messages = turns


LAYOUT = Layout({"id": "id", "input": "input", "expected": "ideal"}, convert)
