"""The server of ``view``: which address gives what, and how it ends."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from aiohttp import web

from lm_eval_so.report.view import board_routes, list_routes
from lm_eval_so.report.view.boards import Boards
from lm_eval_so.report.view.cache import cache_folder
from lm_eval_so.report.view.folder import Folder
from lm_eval_so.report.view.guard import guard
from lm_eval_so.report.view.routes import BOARDS
from lm_eval_so.runner.run.exit_code import ExitCode
from lm_eval_so.runner.run.signals import stop_signals

_LAST_WORDS = 1.0
"""Seconds that answers on their way have when the server ends."""


class Address(NamedTuple):
    """Where it listens.

    Attributes:
        port: 0 for any that is free.
        names: Further names of this machine.
    """

    host: str
    port: int
    names: tuple[str, ...] = ()


async def serve(root: Path, address: Address, begun: Callable[[str], object]) -> int:
    """Serves a folder until a signal comes; returns the exit code of that signal.

    A second signal ends the process at once.

    Args:
        root: With all links resolved.
        address: Where it listens.
        begun: Is given the URL as soon as it listens.

    Raises:
        OSError: It cannot listen there.
    """
    served = application(root, address)
    runner = web.AppRunner(served, access_log=None, shutdown_timeout=_LAST_WORDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, address.host, address.port).start()
        begun(_url(address.host, runner.addresses[0][1]))
        code = ExitCode.of_signal(await _signal())
        await served[BOARDS].settle()
        return code
    finally:
        await runner.cleanup()


def application(root: Path, address: Address) -> web.Application:
    """All that is served."""
    served = web.Application(middlewares=[guard(address.host, address.names)])
    served[BOARDS] = Boards(Folder(root), cache_folder())
    served.add_routes([*list_routes.ROUTES, *board_routes.ROUTES])
    return served


async def _signal() -> int:
    """Waits for a signal; from then on signals have their usual effect again."""
    loop = asyncio.get_running_loop()
    came: asyncio.Future[int] = loop.create_future()
    numbers = stop_signals()
    before = {number: signal.getsignal(number) for number in numbers}

    def note(number: int, _: object) -> None:
        for other in numbers:
            signal.signal(other, signal.SIG_DFL)
        loop.call_soon_threadsafe(came.set_result, number)

    for number in numbers:
        signal.signal(number, note)
    try:
        return await came
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is note:
                signal.signal(number, handler)


def _url(host: str, port: int) -> str:
    named = f"[{host}]" if ":" in host else host
    return f"http://{named}:{port}/"
