"""Servers of the other wires: Anthropic's Messages and OpenAI's Responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.fake_openai import FakeOpenAI, Received, Reply, echo

if TYPE_CHECKING:
    from aiohttp import web

KEY = "sk-ant-fake-0123456789"


class FakeAnthropic(FakeOpenAI):
    """Answers ``/v1/messages``."""

    path = "/v1/messages"

    @property
    def base_url(self) -> str:
        return super().base_url.removesuffix("/v1")

    @property
    def env(self) -> dict[str, str]:
        return {"ANTHROPIC_BASE_URL": self.base_url, "ANTHROPIC_API_KEY": KEY}

    def _body(self, received: Received, reply: Reply) -> dict[str, Any]:
        if reply.status != 200:
            error = {"type": "api_error", "message": reply.text or "no", **reply.extra}
            return {"type": "error", "error": error, "request_id": "req_1"}
        text = reply.text if reply.text is not None else echo(received.question)
        return {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": f"{received.body['model']}-20260101",
            "content": [{"type": "text", "text": text}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 7, "output_tokens": 3, "service_tier": "standard"},
            **reply.extra,
        }

    async def _stream(
        self, request: web.Request, received: Received, reply: Reply
    ) -> web.StreamResponse:
        response = await self._events(request)
        whole = self._body(received, reply)
        (block,) = whole["content"]
        started = whole | {"content": [], "stop_reason": None}
        events: list[dict[str, Any]] = [
            {"type": "message_start", "message": started},
            {"type": "content_block_start", "index": 0, "content_block": block | {"text": ""}},
            {"type": "ping"},
        ]
        deltas = [{"type": "text_delta", "text": letter} for letter in block["text"]]
        events += [{"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas]
        ended = {"stop_reason": whole["stop_reason"]}
        events += [
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": ended, "usage": {"output_tokens": 3}},
            {"type": "message_stop"},
        ]
        for event in events:
            await self._event(response, event)
        return response


class FakeResponses(FakeOpenAI):
    """Answers ``/v1/responses``."""

    path = "/v1/responses"

    def _body(self, received: Received, reply: Reply) -> dict[str, Any]:
        if reply.status != 200:
            return super()._body(received, reply)
        text = reply.text if reply.text is not None else echo(received.question)
        part = {"type": "output_text", "text": text, "annotations": []}
        message = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [part],
        }
        return {
            "id": "resp_1",
            "object": "response",
            "created_at": 1,
            "status": "completed",
            "model": f"{received.body['model']}-2026-01-01",
            "output": [message],
            "usage": {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10},
            **reply.extra,
        }

    async def _stream(
        self, request: web.Request, received: Received, reply: Reply
    ) -> web.StreamResponse:
        response = await self._events(request)
        whole = self._body(received, reply)
        begun = whole | {"status": "in_progress", "output": []}
        await self._event(response, {"type": "response.created", "response": begun})
        for letter in whole["output"][0]["content"][0]["text"]:
            delta = {"type": "response.output_text.delta", "output_index": 0, "delta": letter}
            await self._event(response, delta)
        await self._event(response, {"type": "response.completed", "response": whole})
        return response
