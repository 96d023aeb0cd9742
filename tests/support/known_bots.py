"""Fakes of chatbot servers, each of which behaves as its documentation says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from support.chatbot import Heard, Says

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "key-0123456789-abcdef"


def _has_key(heard: Heard) -> bool:
    return heard.headers.get("Authorization") == f"Bearer {KEY}"


def _events(*data: dict[str, Any]) -> list[bytes]:
    return [b"event: ping\n\n", *(f"data: {json.dumps(each)}\n\n".encode() for each in data)]


def dify(heard: Heard) -> Says:
    """``/v1/chat-messages``; a conversation is begun with an empty id."""
    if not _has_key(heard):
        refusal = {"code": "unauthorized", "message": "Access token is invalid", "status": 401}
        return Says(refusal, 401)
    asked = heard.json
    assert asked.keys() >= {"inputs", "query", "user", "response_mode", "conversation_id"}
    assert asked["response_mode"] == "streaming"
    common = {"conversation_id": asked["conversation_id"] or "conv-1", "message_id": "msg-1"}
    if asked["query"] == "fail":
        broken = {"event": "error", "status": 400, "code": "completion_request_error"}
        return Says(_events({**broken, "message": "model is down", **common}))
    turn = "first" if not asked["conversation_id"] else "next"
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
    return Says(
        _events(
            {"event": "workflow_started", **common},
            {"event": "message", "answer": f"{turn}: ", **common},
            {"event": "agent_thought", "thought": "hm", **common},
            {"event": "agent_message", "answer": asked["query"], **common},
            {"event": "message_end", "metadata": {"usage": usage}, **common},
        )
    )


def langflow(heard: Heard) -> Says:
    """``/api/v1/run/FLOW``."""
    if heard.headers.get("x-api-key") != KEY:
        return Says({"detail": "Invalid or missing API key"}, 403)
    asked = heard.json
    assert (asked["input_type"], asked["output_type"]) == ("chat", "chat")
    if asked["input_value"] == "fail":
        return Says({"detail": "Error running graph"}, 500)
    message = {"text": f"flow: {asked['input_value']}", "session_id": asked["session_id"]}
    inner = {"results": {"message": message}, "artifacts": {}, "component_id": "ChatOutput-1"}
    outputs = [{"inputs": {"input_value": asked["input_value"]}, "outputs": [inner]}]
    return Says({"session_id": asked["session_id"], "outputs": outputs})


def flowise(heard: Heard) -> Says:
    """``/api/v1/prediction/ID``."""
    if not _has_key(heard):
        return Says({"error": "Unauthorized"}, 401)
    asked = heard.json
    if asked["question"] == "fail":
        return Says({"statusCode": 500, "success": False, "message": "Error: no node"}, 500)
    said = {"text": f"flow: {asked['question']}", "question": asked["question"]}
    return Says({**said, "chatId": asked["chatId"], "chatMessageId": "m-1", "sessionId": "s"})


def rasa(heard: Heard) -> Says:
    """``/webhooks/rest/webhook``; an assistant may say several things, or nothing."""
    if ("token", KEY) not in heard.query:
        return Says({"reason": "NotAuthenticated", "message": "User is not authenticated."}, 401)
    asked = heard.json
    to = {"recipient_id": asked["sender"]}
    if asked["message"] == "silence":
        return Says([])
    if asked["message"] == "fail":
        return Says({"reason": "InternalServerError", "message": "no agent"}, 500)
    said = [{**to, "text": "flow:"}, {**to, "image": "http://i"}, {**to, "text": asked["message"]}]
    return Says(said)


def botpress(heard: Heard) -> Says:
    """``/api/v1/bots/BOT/converse/USER``."""
    if not heard.path.rpartition("/")[2]:
        return Says({"message": "no user"}, 400)
    asked = heard.json
    if asked["text"] == "fail":
        return Says({"statusCode": 500, "message": "Unexpected error"}, 500)
    typing = {"type": "typing", "value": True}
    return Says({"responses": [typing, {"type": "text", "text": f"flow: {asked['text']}"}]})


def chatbot(heard: Heard) -> Says:
    """Of our own style."""
    asked = heard.json
    question = asked["messages"][-1]["content"]
    if question == "fail":
        return Says({"error": {"message": "out of order", "code": 503}})
    tokens = {"input": 5, "output": 2}
    return Says({"text": f"flow: {question}", "tokens": tokens, "model": asked["model"]})


KNOWN: dict[str, Callable[[Heard], Says]] = {
    "dify": dify,
    "langflow": langflow,
    "flowise": flowise,
    "rasa": rasa,
    "botpress": botpress,
    "chatbot": chatbot,
}
"""By the names of their presets."""
