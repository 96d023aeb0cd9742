"""What is left of connections when a transport is closed, on real sockets."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import pytest
import uvloop

from lm_eval_so.runner.backends.http.connection import Connection
from lm_eval_so.runner.backends.http.proxy import Proxy
from lm_eval_so.runner.backends.http.transport import Transport
from support.certificates import Certificate, make
from support.deaf_server import DeafServer
from support.fake_proxy import FakeProxy
from support.scripted_server import reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Use = Callable[[Transport, DeafServer], Awaitable[None]]

LARGE = 1 << 26  # bytes; more than the buffers of two sockets hold


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make(tmp_path_factory.mktemp("tls") / "here")


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def new_loop(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    chosen: Callable[[], asyncio.AbstractEventLoop] = request.param
    return chosen


async def ask(transport: Transport, _: DeafServer) -> None:
    assert (await transport.post(b"{}", {})).ok


async def leave(transport: Transport, _: DeafServer) -> None:
    async with transport.stream(b"{}", {}) as stream:
        assert stream.status == 200


async def give_up(transport: Transport, server: DeafServer, body: bytes = b"{}") -> None:
    asking = asyncio.ensure_future(transport.post(body, {}))
    assert await asyncio.to_thread(server.asked.wait, 20)
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking


async def give_up_a_large_question(transport: Transport, server: DeafServer) -> None:
    await give_up(transport, server, bytes(LARGE))


async def rest(connection: Connection, use: Use, server: DeafServer) -> int:
    """Bytes that came after the answer, once the transport is closed; the loop goes on."""
    async with Transport(connection, "/ask") as transport:
        await use(transport, server)
    return await asyncio.to_thread(server.rest)


@pytest.mark.parametrize("through_proxy", [False, True], ids=["direct", "proxy"])
@pytest.mark.parametrize(
    ("answer", "use"),
    [
        pytest.param(reply(b"{}", "Connection: close"), ask, id="server-keeps-none"),
        pytest.param(reply(b"{", length=9), leave, id="half-read"),
        pytest.param(b"", give_up, id="given-up"),
    ],
)
def test_no_connection_waits_for_the_end_of_tls_when_its_transport_is_closed(
    answer: bytes,
    use: Use,
    through_proxy: bool,  # noqa: FBT001 - of the parameters
    certificate: Certificate,
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    trust = ssl.create_default_context(cafile=certificate.file)
    with (
        ExitStack() as stack,
        DeafServer(answer, certificate.server) as server,
        asyncio.Runner(loop_factory=new_loop) as runner,
    ):
        proxy = Proxy(stack.enter_context(FakeProxy()).url, "here") if through_proxy else None
        connection = Connection(address=server.base_url, trust=trust, proxy=proxy)
        assert runner.run(rest(connection, use, server)) < 1 << 10  # at most the close_notify


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
def test_what_is_left_of_a_question_is_not_sent_when_its_transport_is_closed(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    with DeafServer() as server, asyncio.Runner(loop_factory=new_loop) as runner:
        connection = Connection(address=server.base_url)
        assert runner.run(rest(connection, give_up_a_large_question, server)) < LARGE // 2
