"""Valid answers of many shapes, and what becomes of them on a bad way: seeded, so repeatable."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from random import Random

Json = Any
TEXTS = (
    "fine",
    "",
    "안녕하세요, 세계",
    "a\nb\u2028c",
    "\U0001f600" * 3,
    '{"a": [1, "}"]}',
    "x" * 300,
)
VALUES: tuple[Json, ...] = (
    *(None, True, False, 0, -1, 7, 2**63, 2**70, -(2**70), 1.5, -0.0, float("nan"), float("-inf")),
    *("", "x", "\ud83d", "stop", "error", "[DONE]", "null", "429", "0", "1e999", "\udcff"),
    *([], [None], [[]], ["x"], [{}], {}, {"a": None}, {"error": {}}, {"message": "m"}, {"": 1}),
    [[[[[[[[[[]]]]]]]]]],
)


@dataclass(frozen=True)
class Answer:
    """An answer as a server means it.

    Attributes:
        text: Of the first choice.
        parts: Its JSON: one completion, or the chunks of a stream.
        choices: How many were asked for.
    """

    text: str
    parts: list[Json]
    streamed: bool
    choices: int = 1

    def body(self) -> bytes:
        if not self.streamed:
            return as_json(self.parts[0])
        events = [b"data: " + as_json(part) + b"\n\n" for part in self.parts]
        return b"".join(events) + b"data: [DONE]\n\n"


def as_json(value: Json) -> bytes:
    return json.dumps(value).encode()


def valid(chance: Random, *, streamed: bool | None = None) -> Answer:
    """An answer; a stream or not by chance, where it is not told."""
    if streamed is None:
        streamed = chance.random() < 0.5
    text, choices = chance.choice(TEXTS), chance.choice((1, 1, 1, 2))
    parts = (_streamed if streamed else _whole)(chance, text, choices)
    return Answer(text, parts, streamed, choices)


def _head(chance: Random) -> dict[str, Json]:
    head: dict[str, Json] = {"id": "c1", "created": 1, "model": "m-2026"}
    if chance.random() < 0.5:
        head |= {"service_tier": "default", "timings": {"predicted_ms": 1.5}, "citations": ["u"]}
    return head


def _usage() -> dict[str, Json]:
    return {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "cost": 0.25}


def _extras(chance: Random) -> dict[str, Json]:
    extras: dict[str, Json] = {}
    if chance.random() < 0.3:
        extras["reasoning_content"] = "hm"
    if chance.random() < 0.3:
        function = {"name": "f", "arguments": '{"a": 1}'}
        extras["tool_calls"] = [{"index": 0, "id": "c", "type": "function", "function": function}]
    return extras


def _whole(chance: Random, text: str, choices: int) -> list[Json]:
    message = {"role": "assistant", "content": text, **_extras(chance)}
    logprobs = {"content": [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}]}
    made = [
        {"index": n, "message": message, "finish_reason": "stop", "logprobs": logprobs}
        for n in range(choices)
    ]
    whole = {**_head(chance), "object": "chat.completion", "choices": made, "usage": _usage()}
    return [json.loads(json.dumps(whole))]  # no two parts are one object


def _streamed(chance: Random, text: str, choices: int) -> list[Json]:
    head = {**_head(chance), "object": "chat.completion.chunk"}
    cuts = sorted(chance.randrange(len(text) + 1) for _ in range(chance.randrange(5)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    deltas: list[Json] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": piece} for piece in pieces] + [_extras(chance), {}]
    chunks = []
    for at, delta in enumerate(deltas):
        finish = "stop" if at == len(deltas) - 1 else None
        made = [{"index": n, "delta": delta, "finish_reason": finish} for n in range(choices)]
        chunks += [{**head, "choices": [choice]} for choice in made]
    chunks.append({**head, "choices": [], "usage": _usage()})
    return [json.loads(json.dumps(chunk)) for chunk in chunks]


def _places(value: Json, path: tuple[Json, ...] = ()) -> list[tuple[Json, ...]]:
    """The paths to all parts of a value."""
    within = value.items() if isinstance(value, dict) else ()
    within = enumerate(value) if isinstance(value, list) else within
    found = [place for key, part in within for place in _places(part, (*path, key))]
    return [path, *found]


def _is_beside_the_text(path: tuple[Json, ...], choices: int) -> bool:
    """Whether what stands there is neither text, nor holds any, nor tells whose text it is."""
    keys = [key for key in path if isinstance(key, str)]
    holders = ([], ["choices"], ["choices", "delta"], ["choices", "message"])
    own = {"content", "refusal"} if choices == 1 else {"content", "refusal", "index"}
    return keys not in holders and keys[-1] not in own


def change_part(chance: Random, answer: Answer, *, beside_the_text: bool = False) -> bytes:
    """One part becomes another value, goes, or comes twice under its name."""
    parts = json.loads(json.dumps(answer.parts))
    at = chance.randrange(len(parts))
    places = [
        place
        for place in _places(parts[at])
        if place and (not beside_the_text or _is_beside_the_text(place, answer.choices))
    ]
    *way, key = chance.choice(places)
    holder = parts[at]
    for step in way:
        holder = holder[step]
    what = chance.choice(("change", "change", "go", "twice"))
    if what == "go":
        del holder[key]
    elif what == "twice" and isinstance(holder, dict):
        value = holder.pop(key)
        holder[_TWICE] = value
        once, pair = as_json({_TWICE: value})[1:-1], as_json({key: value})[1:-1]
        body = Answer(answer.text, parts, answer.streamed).body()
        return body.replace(once, pair + b", " + pair)
    else:
        holder[key] = chance.choice(VALUES)
    return Answer(answer.text, parts, answer.streamed).body()


_TWICE = "(a key that comes twice)"


def change_bytes(chance: Random, answer: Answer) -> bytes:
    """Some bytes are others, go, come twice, or come in between."""
    body = bytearray(answer.body())
    for _ in range(chance.choice((1, 1, 2, 5))):
        at, size = chance.randrange(len(body) + 1), chance.choice((1, 1, 2, 20))
        with_ = bytes(
            chance.choice((0, 9, 10, 13, 34, 44, 58, 91, 93, 123, 125, 255)) for _ in range(size)
        )
        what = chance.choice(("change", "go", "twice", "between"))
        if what == "change":
            body[at : at + size] = with_
        elif what == "go":
            del body[at : at + size]
        else:
            body[at:at] = body[at : at + size] if what == "twice" else with_
    return bytes(body)


def cut(chance: Random, answer: Answer) -> bytes:
    """The body ends early."""
    body = answer.body()
    return body[: chance.randrange(len(body))]


def in_pieces(chance: Random, body: bytes) -> list[bytes]:
    """The body as it may come over the wire."""
    cuts = sorted(chance.randrange(len(body) + 1) for _ in range(chance.randrange(6)))
    return [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
