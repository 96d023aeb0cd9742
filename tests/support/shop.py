"""A dataset of a shop, and who answers it: each sample's kind decides what happens to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.fake_openai import Reply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.fake_openai import Received

MODELS = ("gpt-4o", "gpt-4o-mini")
PROMPTS = ("Be brief.", "Answer at length.")
REPEATS = 2
KINDS = (
    *("equal", "model", "prompt", "repeat", "wrong", "broken", "flaky", "hangs", "truncated"),
    *("filtered", "refused", "empty", "tool", "reasoning", "long", "korean", "markdown", "image"),
    *("conversation", "expects"),
)
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4"
    "2mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
_TAGS = (["refund"], ["shipping", "eu"], ["account"], [], ["refund", "eu"])
_LANGUAGES = ("en", "ko", "de")
_MARKDOWN = "# Returns\n\n1. **Pack** it\n2. Send it\n\n| days | fee |\n|---|---|\n| 30 | 0 |\n"
_REFUSED = {"content": None, "refusal": "I can't help with that."}
_CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "look_up", "arguments": '{"order": 12, "deep": {"a": [1, 2]}}'},
}
_KOREAN = "환불은 30일 이내에 가능합니다. 영수증을 보내 주세요."


def shop_samples() -> Iterator[dict[str, Any]]:
    """44 samples: each kind twice, and some at the end, which a budget leaves owed."""
    for number in range(44):
        kind = KINDS[number % len(KINDS)]
        sample: dict[str, Any] = {
            "id": f"{kind}-{number:02}",
            "messages": [{"role": "user", "content": f"{kind}: what about order {number}?"}],
            "metadata": {
                "language": _LANGUAGES[number % 3],
                "level": number % 4,
                "vip": number % 2 == 0,
                "note": f"note {number}",
                "lists": [number % 2, "x"],
            },
        }
        if tags := _TAGS[number % len(_TAGS)]:
            sample["tags"] = tags
        if number % 3 == 0:
            sample["expected"] = "Within 30 days." if number % 2 else {"days": number}
        yield sample | _particular(kind, number)


def _particular(kind: str, number: int) -> dict[str, Any]:
    asked = f"{kind}: what about order {number}?"
    if kind == "image":
        parts = [
            {"type": "text", "text": asked},
            {"type": "image_url", "image_url": {"url": PIXEL}},
            {"type": "image_url", "image_url": {"url": "https://example.com/shop.png"}},
        ]
        return {"messages": [{"role": "user", "content": parts}]}
    if kind == "conversation":
        turns = ["Hello", "Hello! What can I do for you?", asked]
        roles = ["user", "assistant", "user"]
        return {
            "messages": [
                {"role": role, "content": turn} for role, turn in zip(roles, turns, strict=True)
            ]
        }
    return {}


def answer(received: Received, nth: int) -> Reply:
    """What the server does with a question; ``nth`` counts how often it came."""
    last = received.question
    said = last if isinstance(last, str) else last[0]["text"]
    kind = said.partition(":")[0]
    model, prompt = received.body["model"], received.conversation[0]["content"]
    latency = (sum(said.encode()) + nth * 7) % 50 / 1000
    if kind in {"wrong", "broken"}:
        return _failure(kind, model)
    if kind == "flaky" and nth % 3 == 1:
        return Reply(status=500, text="try again", latency=latency)
    if kind == "hangs" and model == MODELS[1] and prompt == PROMPTS[0]:
        return Reply(hang=True)
    texts = {
        "model": f"{model} says: returned within 30 days.",
        "prompt": "Yes." if prompt == PROMPTS[0] else "Yes, within 30 days, with a receipt.",
        "repeat": f"Answer number {nth} to the question.",
        "long": "A long answer, word by word. " * 120,
        "korean": _KOREAN,
        "markdown": _MARKDOWN,
    }
    text = texts.get(kind, "You can return it within 30 days.")
    return Reply(text=text, latency=latency, **_peculiar(kind, model))


def _failure(kind: str, model: str) -> Reply:
    if kind == "wrong" and model == MODELS[0]:
        return Reply(status=400, text="this order cannot be asked about")
    if kind == "broken":
        return Reply(status=500, text="the shop's server is on fire")
    return Reply(text="Nothing is wrong here.")


def _peculiar(kind: str, model: str) -> dict[str, Any]:
    """What an answer has in place of its text, or beside it."""
    first, second = (model == one for one in MODELS)
    return {
        "truncated": _finished("length", "You can return it wi") if first else {},
        "filtered": _finished("content_filter", ""),
        "refused": {"message": _REFUSED} if second else {},
        "empty": {"message": {"content": "  \n"}},
        "tool": {"message": {"content": None, "tool_calls": [_CALL]}},
        "reasoning": {"message": {"reasoning_content": "First, the order. Then, its days."}},
    }.get(kind, {})


def _finished(reason: str, text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {"extra": {"choices": [{"index": 0, "finish_reason": reason, "message": message}]}}
