"""Faults of TLS and of proxies, on real sockets."""

from __future__ import annotations

import asyncio
import re
import zlib
from typing import TYPE_CHECKING

import aiohttp
import pytest

from lm_eval_so.runner.backends.http.connection import Connection
from lm_eval_so.runner.backends.http.transport import Transport
from lm_eval_so.runner.backends.openai.backend import OpenAIBackend
from lm_eval_so.runner.errors import (
    BackendError,
    BackendSetupError,
    EndpointUnreachableError,
    ProxyError,
    TLSError,
)
from lm_eval_so.runner.models import RunConfig, RunRequest, TestSample
from support.certificates import Certificate, make
from support.fake_openai import FakeOpenAI, Reply
from support.fake_proxy import FakeProxy
from support.ports import free_port
from support.requests import request_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

KEY = "sk-fake-0123456789"
VARIABLES = ["SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make(tmp_path_factory.mktemp("tls") / "here")


@pytest.fixture(scope="session")
def expired(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make(tmp_path_factory.mktemp("tls") / "expired", expired=True)


@pytest.fixture(scope="session")
def of_another(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make(tmp_path_factory.mktemp("tls") / "another", "DNS:models.example")


@pytest.fixture
def secure(certificate: Certificate) -> Iterator[FakeOpenAI]:
    with FakeOpenAI(tls=certificate.server) as fake:
        yield fake


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{kind}_proxy", raising=False)
        monkeypatch.delenv(f"{kind}_proxy".upper(), raising=False)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def backend(address: str, **parameters: object) -> OpenAIBackend:
    options = {"base_url": address, "api_key": KEY}
    return OpenAIBackend(
        RunConfig(backend="openai", model="m", parameters=parameters, backend_options=options)
    )


def request(asked: OpenAIBackend) -> RunRequest:
    sample = TestSample.model_validate({"id": "s", "messages": [{"role": "user", "content": "q"}]})
    return request_of(sample, 0, asked.config, "key", "trace")


def ask(address: str, **parameters: object) -> str:
    async def main() -> str:
        async with backend(address, **parameters) as asked:
            return (await asked.send(request(asked))).text

    return asyncio.run(main())


def fault(address: str, **parameters: object) -> BackendError:
    with pytest.raises(BackendError) as raised:
        ask(address, **parameters)
    return raised.value


def bundle(certificate: Certificate) -> str:
    return str(certificate.file)


def folder(certificate: Certificate) -> str:
    """As OpenSSL wants it: files are named by a hash of their subject."""
    import subprocess  # noqa: PLC0415 - here only

    shown = subprocess.run(
        ["openssl", "x509", "-hash", "-noout", "-in", str(certificate.file)],
        check=True,
        capture_output=True,
        text=True,
    )
    hashed = certificate.file.with_name(f"{shown.stdout.strip()}.0")
    hashed.write_bytes(certificate.file.read_bytes())
    return str(hashed.parent)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SSL_CERT_FILE", bundle),
        ("SSL_CERT_DIR", folder),
        ("REQUESTS_CA_BUNDLE", bundle),
        ("REQUESTS_CA_BUNDLE", folder),
    ],
)
def test_certificates_that_a_variable_names_are_trusted(
    variable: str,
    value: Callable[[Certificate], str],
    secure: FakeOpenAI,
    certificate: Certificate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(variable, value(certificate))
    assert ask(secure.base_url) == "echo: q"


def test_all_that_name_certificates_are_trusted(
    secure: FakeOpenAI,
    certificate: Certificate,
    of_another: Certificate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", bundle(of_another))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle(certificate))
    assert ask(secure.base_url) == "echo: q"


def test_a_certificate_nobody_vouches_for_says_how_to_trust_it(secure: FakeOpenAI) -> None:
    found = fault(secure.base_url)
    assert isinstance(found, TLSError)
    assert not found.retryable
    assert "self-signed certificate" in found.message
    assert "in the variable SSL_CERT_FILE" in found.message
    assert secure.requests == []


def test_a_file_without_the_authority_is_named(
    secure: FakeOpenAI, of_another: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle(of_another))
    assert f"REQUESTS_CA_BUNDLE ({of_another.file})" in fault(secure.base_url).message


def test_a_certificate_of_another_host_is_told(
    of_another: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", bundle(of_another))
    with FakeOpenAI(tls=of_another.server) as server:
        found = fault(server.base_url)
    assert isinstance(found, TLSError)
    assert "is for another host" in found.message


def test_an_expired_certificate_is_told(
    expired: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", bundle(expired))
    with FakeOpenAI(tls=expired.server) as server:
        found = fault(server.base_url)
    assert isinstance(found, TLSError)
    assert "is out of date (certificate has expired)" in found.message


def test_https_to_a_server_without_tls_is_told(server: FakeOpenAI) -> None:
    found = fault(server.base_url.replace("http:", "https:"))
    assert isinstance(found, TLSError)
    assert not found.retryable
    assert "does not speak TLS: its address may have to start with http://" in found.message


def test_http_to_a_server_with_tls_is_told(secure: FakeOpenAI) -> None:
    found = fault(secure.base_url.replace("https:", "http:"))
    assert isinstance(found, TLSError)
    assert not found.retryable
    assert "its address must start with https://" in found.message


@pytest.mark.parametrize(
    "words",
    [
        "<title>400 The plain HTTP request was sent to HTTPS port</title>",
        "Reason: You're speaking plain HTTP to an SSL-enabled server port.",
        "Client sent an HTTP request to an HTTPS server.\n",
        "Bad Request\r\nThis combination of host and port requires TLS.\r\n",
    ],
    ids=["nginx", "apache", "go", "tomcat"],
)
def test_servers_that_ask_for_tls_in_words_are_understood(words: str, server: FakeOpenAI) -> None:
    server.behave = lambda _received, _nth: Reply(status=400, body=words.encode())
    for streamed in (False, True):
        found = fault(server.base_url, stream=streamed)
        assert isinstance(found, TLSError)
        assert "https://" in found.message


def test_a_server_that_only_breaks_off_is_not_said_to_want_tls(server: FakeOpenAI) -> None:
    server.behave = lambda _received, _nth: Reply(reset=True)
    found = fault(server.base_url)
    assert (found.error_type, found.retryable) == ("APIConnectionError", True)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_takes_no_connections_is_told_with_its_variable(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    variable = f"{scheme}_proxy".upper()
    monkeypatch.setenv(variable, f"http://user:hunter2-hunter2@127.0.0.1:{port}")
    found = fault(f"{scheme}://models.example/v1")
    assert isinstance(found, ProxyError)
    assert not found.retryable
    assert f"the proxy http://127.0.0.1:{port} (named by the variable {variable})" in found.message
    assert "put models.example into the variable NO_PROXY" in found.message
    assert "hunter2" not in found.message


def test_a_proxy_whose_name_is_not_known_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://proxy.invalid:3128")
    found = fault("https://models.example/v1")
    assert isinstance(found, ProxyError)
    assert "variable ALL_PROXY" in found.message


@pytest.mark.parametrize(
    "status", ["403 Forbidden", "500 Oops", "502 Bad Gateway", "503 Unavailable", "504 Timeout"]
)
def test_a_proxy_that_opens_no_way_is_told(status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeProxy(status) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        found = fault("https://models.example/v1")
    assert isinstance(found, ProxyError)
    assert found.status_code == int(status[:3])
    assert not found.retryable
    assert f"opens no way to https://models.example ({status})" in found.message


def test_a_proxy_fault_after_an_answer_is_an_outage(
    secure: FakeOpenAI, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", bundle(certificate))
    secure.behave = lambda _received, _nth: Reply(headers={"Connection": "close"})

    async def main(proxy: FakeProxy) -> BackendError:
        async with backend(secure.base_url) as asked:
            await asked.send(request(asked))
            proxy.status = "503 Service Unavailable"
            with pytest.raises(BackendError) as raised:
                await asked.send(request(asked))
            return raised.value

    with FakeProxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        found = asyncio.run(main(proxy))
    assert (found.status_code, found.retryable) == (503, True)


@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
def test_requests_go_through_the_proxy_that_a_variable_names(
    variable: str, secure: FakeOpenAI, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", bundle(certificate))
    with FakeProxy() as proxy:
        monkeypatch.setenv(variable, proxy.url.replace("//", "//us%40er:p%3Ass@"))
        assert ask(secure.base_url) == "echo: q"
        assert ask(secure.base_url, stream=True) == "echo: q"
    assert proxy.asked == [f"CONNECT 127.0.0.1:{secure.port} HTTP/1.1"] * 2
    assert proxy.authorisations == ["Basic dXNAZXI6cDpzcw=="] * 2


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_plain_requests_go_through_the_proxy_too(
    variable: str, server: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeProxy() as proxy:
        monkeypatch.setenv(variable, proxy.url.replace("//", "//user:pass@"))
        assert ask(server.base_url) == "echo: q"
    assert proxy.asked == [f"POST {server.base_url}/chat/completions HTTP/1.1"]
    assert proxy.authorisations == ["Basic dXNlcjpwYXNz"]
    assert "authorization" in {name.lower() for name in server.requests[0].headers}


@pytest.mark.parametrize("kind", ["http", "https"])
def test_a_proxy_may_speak_tls_itself(
    kind: str,
    server: FakeOpenAI,
    secure: FakeOpenAI,
    certificate: Certificate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", bundle(certificate))
    with FakeProxy(tls=certificate.server) as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        assert ask((secure if kind == "https" else server).base_url) == "echo: q"
    assert len(proxy.asked) == 1


def test_a_proxy_that_speaks_no_tls_though_its_address_says_so_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lm_eval_so.runner.backends.http.connector.HANDSHAKE_S", 0.2)
    with FakeProxy("400 Bad Request") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("http:", "https:"))
        found = fault("https://models.example/v1")
    assert isinstance(found, ProxyError)
    assert "variable HTTPS_PROXY" in found.message


def test_a_certificate_of_the_server_is_looked_at_behind_a_proxy_too(
    secure: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeProxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        found = fault(secure.base_url)
    assert isinstance(found, TLSError)
    assert f"the certificate of https://127.0.0.1:{secure.port} is not trusted" in found.message


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize("content", [None, "", "no certificate"], ids=["gone", "empty", "text"])
def test_a_variable_that_names_no_certificates_is_a_sentence(
    variable: str, content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bundle.pem"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv(variable, str(path))
    with pytest.raises(BackendSetupError, match=f"the variable {variable} names '{path}'") as found:
        backend("https://models.example/v1")
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("variable", VARIABLES)
def test_certificates_do_not_matter_where_nothing_is_encrypted(
    variable: str, server: FakeOpenAI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(tmp_path / "gone"))
    assert ask(server.base_url) == "echo: q"


def test_a_server_that_waits_for_more_than_a_handshake_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lm_eval_so.runner.backends.http.connector.HANDSHAKE_S", 0.2)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1 << 16):
            pass
        writer.close()

    found = asyncio.run(_fault_of(silent))
    assert isinstance(found, TLSError)
    assert not found.retryable
    assert "answers no TLS handshake: its address must start with http://" in found.message


def test_a_server_that_breaks_off_the_handshake_may_be_away() -> None:
    async def gone(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    found = asyncio.run(_fault_of(gone))
    assert isinstance(found, EndpointUnreachableError)
    assert found.retryable
    assert "breaks off the TLS handshake" in found.message


NO_HTTP = {
    "ssh": b"SSH-2.0-OpenSSH_9.6\r\n",
    "http-2": b"\x00\x00\x18\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80",
    "redis": b"-ERR wrong number of arguments\r\n",
    "smtp": b"220 mail.example ESMTP\r\n",
}


@pytest.mark.parametrize("greeting", NO_HTTP.values(), ids=NO_HTTP)
def test_a_port_that_speaks_something_else_is_told(greeting: bytes) -> None:
    async def greets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(greeting)
        await writer.drain()
        writer.close()

    found = asyncio.run(_fault_of(greets, "http"))
    assert re.fullmatch(
        r"http://127.0.0.1:\d+ does not speak HTTP/1.1: check its address and its port",
        found.message,
    )


def test_a_server_that_spoke_http_once_is_not_said_to_speak_none() -> None:
    answers = iter([b"HTTP/1.1 204 Fine\r\nConnection: close\r\n\r\n", NO_HTTP["ssh"]])

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(next(answers))
        await writer.drain()
        writer.close()

    async def main() -> BackendError:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            connection = Connection(address=f"http://127.0.0.1:{port}")
            async with Transport(connection, "/ask") as transport:
                await transport.post(b"{}", {})
                with pytest.raises(BackendError) as raised:
                    await transport.post(b"{}", {})
        return raised.value

    assert asyncio.run(main()).message.startswith("what came is no valid HTTP: Bad status line")


def wire_errors() -> list[type[Exception]]:
    """What aiohttp can raise while a request is made or its answer is read."""
    modules = (aiohttp.client_exceptions, aiohttp.http_exceptions)
    roots = (aiohttp.ClientError, aiohttp.http_exceptions.HttpProcessingError)
    kinds = [kind for module in modules for kind in vars(module).values() if isinstance(kind, type)]
    return sorted(
        {kind for kind in kinds if issubclass(kind, roots)}, key=lambda kind: kind.__name__
    )


@pytest.mark.parametrize("kind", [*wire_errors(), OSError, zlib.error, ConnectionResetError])
def test_every_exception_of_the_wire_has_a_counterpart_of_ours(kind: type[Exception]) -> None:
    async def main() -> None:
        async with Transport(Connection(address="http://127.0.0.1:9"), "/ask") as transport:
            assert issubclass(kind, transport._broken)

    asyncio.run(main())


async def _fault_of(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    scheme: str = "https",
) -> BackendError:
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with backend(f"{scheme}://127.0.0.1:{port}/v1") as asked:
            with pytest.raises(BackendError) as raised:
                await asked.send(request(asked))
    return raised.value
