from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.runner.strategy.deadline import Deadline
from support.virtual_time import VirtualLoop, run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def now() -> float:
    return asyncio.get_running_loop().time()


def suspend(seconds: float) -> None:
    """The process does not run for a while; its loop finds the clock moved on."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    loop._jumping.now += seconds


@asynccontextmanager
async def connection() -> AsyncIterator[tuple[asyncio.StreamReader, socket.socket]]:
    """A stream, and the socket at its other end."""
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)
    try:
        yield reader, theirs
    finally:
        theirs.close()
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("suspended", [10.001, 11.0, 60.0, 86_400.0])
@pytest.mark.parametrize("size", [5, 100_000], ids=["small", "large"])
def test_what_arrived_while_the_process_was_suspended_is_read(suspended: float, size: int) -> None:
    async def main() -> bytes:
        async with connection() as (reader, server), Deadline(now() + 10):
            server.sendall(b"x" * size)
            suspend(suspended)
            return await reader.readexactly(size)

    assert run(main()) == b"x" * size


def test_a_second_suspension_while_it_looks_is_survived_too() -> None:
    async def main() -> bytes:
        async with connection() as (reader, server), Deadline(now() + 10):
            suspend(20)
            await asyncio.sleep(0.05)
            server.sendall(b"hello")
            suspend(20)
            return await reader.readexactly(5)

    assert run(main()) == b"hello"


@pytest.mark.parametrize("seconds", [0.0, 0.5, 600.0])
def test_without_an_answer_the_time_is_up_a_moment_after_the_deadline(seconds: float) -> None:
    async def main() -> float:
        began = now()
        with pytest.raises(TimeoutError):
            async with Deadline(began + seconds):
                await asyncio.Event().wait()
        return now() - began

    assert seconds < run(main()) <= seconds + 0.11


def test_after_a_suspension_nobody_is_waited_for_much_longer() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with Deadline(now() + 10):
                suspend(3600)
                woken = now()
                await asyncio.Event().wait()
        return now() - woken

    assert run(main()) <= 5.2


def test_a_loop_that_never_runs_in_time_puts_nothing_off_for_ever() -> None:
    async def main() -> float:
        began = now()
        with pytest.raises(TimeoutError):
            async with Deadline(began + 1):
                while True:
                    suspend(0.5)
                    await asyncio.sleep(0)
        return now() - began

    assert run(main()) < 10


def test_a_block_that_ends_in_time_leaves_no_timer() -> None:
    async def main() -> None:
        async with Deadline(now() + 1):
            await asyncio.sleep(0.5)
        await asyncio.sleep(5)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0

    run(main())


def test_a_cancellation_from_outside_is_no_timeout() -> None:
    async def wait() -> None:
        async with Deadline(now() + 10):
            await asyncio.Event().wait()

    async def main() -> None:
        task = asyncio.ensure_future(wait())
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    run(main())
