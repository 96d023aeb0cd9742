"""Whole runs against a server, a gateway or a wire that spoils what it sends."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from lm_eval_so import RunConfig, RunnerOptions, RunReport, RunResult, run_async
from support.mutate import Answer, change_bytes, change_part, cut, valid

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEADERS = (
    *(b"x-request-id: r\xe9", b"x-request-id: " + "요청".encode(), b"X-Request-Id:"),
    *(b"Retry-After: \xff", b"retry-after-ms: 1e999", b"x-should-retry: \xe9"),
    *(b"x-ratelimit-limit-requests: \xd9\xa3", b"x-ratelimit-reset-tokens: 1\xe9"),
    *(b"Set-Cookie: a=\xff; \x01", b"Content-Type: \xff", b"x-litellm-response-cost: None"),
    *(b"Content-Encoding: identity", b"x-empty:", b"Date: \xe9", b"Server: \xf0\x9f"),
)


def untouched(_: Random, answer: Answer) -> bytes:
    return answer.body()


@dataclass(frozen=True)
class Sent:
    """What a server meant, what left it, and how it fared: ``whole``, ``cut`` or ``dirty``."""

    answer: Answer
    wire: bytes
    fate: str


def send(chance: Random, answer: Answer, body: bytes) -> Sent:
    """A response with this body, on a wire that may break, or carry other bytes too."""
    head = [b"HTTP/1.1 200 " + chance.choice((b"OK", b"", b"\xe9\xff")), b"Connection: close"]
    head += chance.sample(HEADERS, chance.randrange(4))
    framing = chance.choice(("length", "chunked", "close"))
    if framing == "length":
        head.append(b"Content-Length: %d" % len(body))
    elif framing == "chunked":
        head.append(b"Transfer-Encoding: chunked")
        at = chance.randrange(len(body) + 1)
        pieces = [piece for piece in (body[:at], body[at:]) if piece]
        body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    wire, fate = b"\r\n".join([*head, b"", body]), chance.random()
    if fate < 0.2 and framing != "close":
        return Sent(answer, wire[: chance.randrange(len(wire))], "cut")
    if fate < 0.3:
        at = chance.randrange(len(b"HTTP/1.1 200"), len(wire))
        return Sent(answer, wire[:at] + b"\xff\x00" + wire[at:], "dirty")
    return Sent(answer, wire, "whole")


FINE = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"


class Spoiler:
    """A server that answers each question in a way of its own, and then closes.

    Attributes:
        sent: By the id of the sample.
        fine_from: Number of the first sample that is answered as it should be: where the last
            ones are all spoiled, as many as are in flight, the server looks away.
    """

    def __init__(self, *ways: Callable[[Random, Answer], bytes]) -> None:
        self.ways = ways
        self.fine_from = 10**6
        self.sent: dict[str, Sent] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r")[0])
        question = await reader.readexactly(length)
        number = re.findall(rb"question (\d+)", question)[0].decode()
        chance = Random(int(number))
        answer = valid(chance, streamed=b'"stream":true' in question)
        body = chance.choice(self.ways)(chance, answer)
        sent = send(chance, answer, body)
        if int(number) >= self.fine_from:
            sent = Sent(answer, FINE + answer.body(), "whole")
        self.sent[f"s{number}"] = sent
        writer.write(sent.wire)
        await writer.drain()
        writer.close()


def run_against(server: Spoiler, dataset: Path, parameters: dict[str, Any]) -> list[RunResult]:
    async def main() -> RunReport:
        async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            options = {"base_url": f"http://127.0.0.1:{port}/v1", "api_key": "sk-0123456789"}
            config = RunConfig(
                backend="openai", model="m", parameters=parameters, backend_options=options
            )
            # Many at a time: of a few in flight, all may be spoiled, as if the server were away.
            how = RunnerOptions(max_retries=0, max_concurrency=16, progress="none")
            return await run_async(dataset, config, options=how, output_dir=dataset.parent / "run")

    report = asyncio.run(main())
    assert (report.state, report.fault) == ("complete", None)
    return list(report.results())


SHAPES = pytest.mark.parametrize("parameters", [{}, {"stream": True}], ids=["whole", "streamed"])


@SHAPES
def test_whatever_a_server_and_the_wire_do_each_sample_has_its_line(
    parameters: dict[str, Any], make_dataset: Callable[..., Path]
) -> None:
    server = Spoiler(untouched, change_part, change_bytes, cut)
    server.fine_from = 400 - 32
    results = run_against(server, make_dataset(400), parameters)
    assert [result.sample_id for result in results] == [f"s{n}" for n in range(400)]
    for result in results:
        assert (result.response is None) is (result.status != "ok")
    assert 100 < sum(result.status == "ok" for result in results) < 350


@SHAPES
def test_no_answer_that_is_cut_on_the_wire_counts_and_no_whole_one_is_lost(
    parameters: dict[str, Any], make_dataset: Callable[..., Path]
) -> None:
    server = Spoiler(untouched)
    fates: Counter[str] = Counter()
    for result in run_against(server, make_dataset(300), parameters):
        sent = server.sent[result.sample_id]
        fates[sent.fate] += 1
        if sent.fate == "cut":
            assert (result.status == "ok") is (b"[DONE]" in sent.wire)
        if sent.fate == "whole" or (sent.fate == "cut" and result.response is not None):
            assert result.response is not None
            assert result.response.text == sent.answer.text
    assert min(fates.values()) > 10
