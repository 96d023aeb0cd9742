"""ShareGPT: ``conversations`` of turns with ``from`` and ``value``."""

from typing import Any

from lm_eval_so.runner.dataset.cells import as_messages
from lm_eval_so.runner.dataset.layouts.base import Layout
from lm_eval_so.runner.dataset.layouts.draft import Draft
from lm_eval_so.runner.dataset.layouts.turns import take_answer

_ROLES = {
    **dict.fromkeys(("human", "user"), "user"),
    **dict.fromkeys(("gpt", "chatgpt", "assistant", "model", "bard", "bing"), "assistant"),
    "system": "system",
}


def convert(draft: Draft) -> None:
    """Gives each speaker a role; the last answer becomes ``expected``."""
    take_answer(draft, [_message(turn) for turn in as_messages(draft.messages, "`conversations`")])


def _message(turn: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    speaker = turn.get("from", turn.get("role")) if isinstance(turn, dict) else None
    if speaker is None:
        raise ValueError(f"a turn has no `from` and `value`: {str(turn)[:80]!r}")
    if not isinstance(speaker, str) or speaker not in _ROLES:
        raise ValueError(f"unknown speaker {speaker!r} (known: {', '.join(_ROLES)})")
    return {"role": _ROLES[speaker], "content": turn.get("value", turn.get("content"))}


LAYOUT = Layout({"id": "id", "messages": "conversations", "system": "system"}, convert)
