"""A small chatbot with an API of its own, to try ``backend=http`` on: conversations and a stream.

python example/http_bot/bot.py
lm-eval-so --config-dir=example/http_bot/conf backend=my_bot
"""

from __future__ import annotations

import argparse
import json
from uuid import uuid4

from aiohttp import web

CONVERSATIONS: dict[str, list[str]] = {}


async def question(request: web.Request) -> tuple[str, str]:
    """The message, and the conversation that it belongs to."""
    body = await request.json()
    message = body.get("message")
    if not isinstance(message, str) or not message.strip():
        text = json.dumps({"error": {"message": "message is missing", "code": "no_message"}})
        raise web.HTTPBadRequest(text=text, content_type="application/json")
    return message, body.get("conversation") or uuid4().hex


def reply(message: str, conversation: str) -> str:
    """What the bot says; it remembers what it was told before."""
    told = CONVERSATIONS.setdefault(conversation, [])
    told.append(message)
    before = f" You told me {len(told) - 1} things before." if len(told) > 1 else ""
    return f"You said: {message}{before}"


def usage(message: str, answer: str) -> dict[str, int]:
    """Words, which count as tokens."""
    return {"in": len(message.split()), "out": len(answer.split())}


async def chat(request: web.Request) -> web.Response:
    """One message, one reply."""
    message, conversation = await question(request)
    answer = reply(message, conversation)
    return web.json_response(
        {
            "reply": answer,
            "conversation": conversation,
            "finish": "stop",
            "usage": usage(message, answer),
        }
    )


async def stream(request: web.Request) -> web.StreamResponse:
    """The same as server-sent events, word by word."""
    message, conversation = await question(request)
    answer = reply(message, conversation)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    last = {"end": True, "usage": usage(message, answer)}
    for event in [*({"text": f"{word} "} for word in answer.split()), last]:
        await response.write(f"data: {json.dumps(event)}\n\n".encode())
    return response


def app() -> web.Application:
    """The bot."""
    made = web.Application()
    made.router.add_post("/chat", chat)
    made.router.add_post("/stream", stream)
    return made


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--port", type=int, default=8080)
    web.run_app(app(), host="localhost", port=parser.parse_args().port)
