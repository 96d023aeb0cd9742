"""A chatbot in a Python function: ``backend.options.callable=bot.py:answer``."""

from typing import Any

REPLIES = {"refund": "Within 30 days.", "return": "Within 30 days.", "deliver": "In three days."}


def answer(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """A text will do; a dict has ``text``, and what else is known: ``tokens``, ``sources``, ..."""
    question = messages[-1]["content"].lower()
    found = (reply for word, reply in REPLIES.items() if word in question)
    return {"text": next(found, "Please ask a colleague."), "sources": ["replies.md"]}
