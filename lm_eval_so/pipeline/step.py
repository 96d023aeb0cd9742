"""A step of a pipeline, as a context."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from lm_eval_so.runner.run.exit_code import by_signal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lm_eval_so.pipeline.tree import Node
    from lm_eval_so.tracking.client import RunStatus


Result = TypeVar("Result")


class Step:
    """A step of a pipeline: ``with`` or ``async with`` it, once."""

    def __init__(
        self,
        name: str,
        begin: Callable[[str], Node],
        end: Callable[[Node, BaseException | None], None],
    ) -> None:
        self._name = name
        self._begin = begin
        self._end = end

    def __enter__(self) -> Path:
        self._node = node = self._begin(self._name)
        node.tree.enter(node)
        return node.folder

    def __exit__(self, _: object, error: BaseException | None, *__: object) -> None:
        self._node.tree.leave(self._node)
        self._end(self._node, error)

    async def __aenter__(self) -> Path:
        self._node = node = await to_the_end(self._begin, self._name)
        node.tree.enter(node, owns=False)
        return node.folder

    async def __aexit__(self, _: object, error: BaseException | None, *__: object) -> None:
        self._node.tree.leave(self._node)
        await to_the_end(self._end, self._node, error)


async def to_the_end(function: Callable[..., Result], *values: object) -> Result:
    """`asyncio.to_thread`, which a cancellation does not leave behind but waits for."""
    task = asyncio.ensure_future(asyncio.to_thread(function, *values))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def status_after(error: BaseException | None) -> RunStatus:
    """How MLflow calls the end of what raised ``error``, or nothing."""
    match error:
        case None | SystemExit(code=None | 0):
            return "FINISHED"
        case SystemExit(code=int(code)) if by_signal(code):
            return "KILLED"
        case KeyboardInterrupt() | asyncio.CancelledError() | GeneratorExit():
            return "KILLED"
    return "FAILED"
