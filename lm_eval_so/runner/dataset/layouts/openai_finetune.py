"""Files for OpenAI's fine-tuning: ``messages`` that end with the assistant's answer."""

from lm_eval_so.runner.dataset.cells import as_messages
from lm_eval_so.runner.dataset.layouts.base import Layout
from lm_eval_so.runner.dataset.layouts.draft import Draft
from lm_eval_so.runner.dataset.layouts.turns import take_answer


def convert(draft: Draft) -> None:
    """Takes the answer out; ``weight`` is for training, and is not sent."""
    turns = as_messages(draft.messages, "`messages`")
    if not all(isinstance(turn, dict) for turn in turns):
        raise ValueError("a message is no object with `role` and `content`")
    take_answer(draft, [{k: v for k, v in turn.items() if k != "weight"} for turn in turns])


LAYOUT = Layout({"id": "id", "messages": "messages"}, convert)
