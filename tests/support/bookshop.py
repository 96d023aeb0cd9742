"""A bookshop's questions, and two models that answer them: what the pictures in docs/ show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.fake_openai import Reply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.fake_openai import Received

BRIEF, WARM = "Answer in one sentence.", "Be warm, and say what happens next."
LARGE, SMALL = "gpt-4o", "gpt-4o-mini"

# Topic: question, what is expected, the answer in brief, and what a warm answer adds.
_TOPICS = {
    "refund": (
        "Can I return {thing} that I bought {when}?",
        "Within 30 days, with the receipt.",
        "Yes, you can return {thing} within 30 days of delivery.",
        "Keep the receipt: we send you a label today, and your money is back within three days.",
    ),
    "delivery": (
        "{Thing} should have come {when}. Where is it?",
        "Tracking link in the order; replaced after seven days.",
        "The tracking link in your order shows where {thing} is.",
        "I am sorry for the wait. If it is not there within a week, we send you another one.",
    ),
    "invoice": (
        "I need an invoice for {thing} with my company's address.",
        "In the account, under orders.",
        "Open your order for {thing} in your account and choose Invoice.",
        "You can change the address there, and we send you the new one by e-mail.",
    ),
    "환불": (
        "{when} 주문한 {thing} 환불받을 수 있나요?",
        "30일 이내, 영수증 필요.",
        "네, 배송 후 30일 이내에 환불할 수 있습니다.",
        "영수증을 보내 주시면 바로 처리해 드리고, 영업일 3일 안에 입금됩니다.",
    ),
}
_THINGS = ("the atlas", "a novel", "two comics", "the cookbook", "a calendar", "the gift card")
_WHENS = ("yesterday", "on Monday", "three weeks ago", "in March")
_KOREAN = (
    ("지도책", "소설", "만화책 두 권", "요리책", "달력", "상품권"),
    ("어제", "월요일에", "3주 전에", "3월에"),
)


def samples() -> Iterator[dict[str, Any]]:
    """48 samples."""
    for number in range(48):
        topic = list(_TOPICS)[number % len(_TOPICS)]
        language = "ko" if topic == "환불" else "en"
        yield {
            "id": f"{topic}-{number // len(_TOPICS) + 1:02}",
            "messages": [
                {"role": "system", "content": "You are the support of an online bookshop."},
                {"role": "user", "content": _filled(_TOPICS[topic][0], number)},
            ],
            "expected": _TOPICS[topic][1],
            "tags": [topic, *(["urgent"] if number % 7 == 0 else [])],
            "metadata": {"language": language, "number": number},
        }


def _filled(text: str, number: int) -> str:
    topic = list(_TOPICS)[number % len(_TOPICS)]
    things, whens = _KOREAN if topic == "환불" else (_THINGS, _WHENS)
    thing = things[number // len(_TOPICS) % len(things)]
    when = whens[number // 5 % len(whens)]
    return text.format(thing=thing, Thing=thing.capitalize(), when=when)


def answer(received: Received, _: int) -> Reply:
    """What the two models say; some answers fail, are cut, or are refused."""
    asked, number = _asked(received.question)
    is_small = received.body["model"] == SMALL
    is_warm = str(received.conversation[0]["content"]) == WARM
    latency = (0.05 if is_small else 0.12) * (2 if is_warm else 1) * (1 + number % 9 / 6)
    if number % 23 == 5 and is_small:
        return Reply(status=500, text="upstream connect error or disconnect", latency=latency)
    if number % 19 == 3 and is_warm:
        text = "I'm sorry, but I can't help with that."
        return Reply(message={"content": None, "refusal": text}, latency=latency)
    _, _, brief, added = _TOPICS[asked]
    text = _filled(brief, number)
    if is_small and number % 3 == 0:
        text = text.replace("30 days", "14 days").replace("30일", "14일")
    if is_warm:
        text = f"{text} {added}"
    reason = "length" if is_warm and number % 11 == 4 else "stop"
    text = text[: len(text) // 2] if reason == "length" else text
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": 42, "completion_tokens": len(text) // 4}
    usage["total_tokens"] = sum(usage.values())
    choice = {"index": 0, "finish_reason": reason, "message": message}
    return Reply(latency=latency, extra={"choices": [choice], "usage": usage})


def _asked(question: str) -> tuple[str, int]:
    """Topic and number of a question."""
    for number, sample in enumerate(samples()):
        if sample["messages"][-1]["content"] == question:
            return sample["tags"][0], number
    raise AssertionError(question)
