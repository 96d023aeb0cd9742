"""The fake provider on its real socket."""

from __future__ import annotations

import http.client
import json
import socket
import threading

import pytest

from measure import Provider, provider

QUESTION = json.dumps({"model": "fake", "messages": [{"role": "user", "content": "2 + 2?"}]})


def ask(server: Provider, question: str = QUESTION) -> tuple[int, dict[str, str], bytes]:
    client = http.client.HTTPConnection("127.0.0.1", server.port)
    try:
        client.request("POST", "/v1/chat/completions", question)
        answer = client.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        client.close()


def test_an_answer_is_a_completion_and_is_in_the_books() -> None:
    with provider() as server:
        status, _, body = ask(server)
        stats = server.stats()
    assert status == 200
    assert json.loads(body)["choices"][0]["finish_reason"] == "stop"
    assert stats["statuses"] == {"200": 1}
    assert stats["answers"]["questions"] == stats["answers"]["most"] == 1


def test_a_broken_body_is_no_answer_in_the_books() -> None:
    with provider(garbage_share=1) as server:
        status, _, body = ask(server)
        stats = server.stats()
    assert status == 200
    with pytest.raises(json.JSONDecodeError):
        json.loads(body)
    assert stats["answers"]["questions"] == 0


def test_a_reset_is_one_on_the_wire() -> None:
    with provider(reset_share=1) as server:
        with pytest.raises(ConnectionResetError):
            ask(server)
        assert server.stats()["statuses"] == {"0": 1}


def test_some_connections_are_refused_and_the_rest_are_answered_and_closed() -> None:
    outcomes = []
    with provider(refuse_share=0.5) as server:
        for _ in range(400):
            try:
                _, headers, _ = ask(server)
                outcomes.append(headers["connection"])
            except (ConnectionRefusedError, ConnectionResetError) as error:
                outcomes.append(type(error).__name__)
            threading.Event().wait(0.005)
    assert {"close", "ConnectionRefusedError"} <= set(outcomes)


def test_a_server_that_is_away_refuses_and_comes_back_on_its_port() -> None:
    with provider(away=(0.0, 3.0), away_status=0) as server:
        refused = answered = 0
        while not answered:
            try:
                status, _, _ = ask(server)
                answered += status == 200 and refused > 0
            except (OSError, http.client.HTTPException):
                refused += 1
            threading.Event().wait(0.01)
        assert server.stats()["answers"]["questions"] == 1
    assert refused > 1


def test_who_left_before_the_answer_is_not_counted_as_answered() -> None:
    with provider(latency_s=0.3) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(b"POST / HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}")
        while not server.stats()["statuses"]:
            threading.Event().wait(0.02)
        stats = server.stats()
    assert stats["statuses"] == {"499": 1}
    assert stats["answers"]["questions"] == 0
