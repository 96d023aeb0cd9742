"""A step of a pipeline, as a context."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from lm_eval_so.runner.run.exit_code import by_signal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lm_eval_so.pipeline.tree import Node
    from lm_eval_so.tracking.base import Status


Result = TypeVar("Result")


class Step:
    """A step of a pipeline, or the whole of it: ``with`` or ``async with`` it, once.

    Args:
        begin: Makes the node.
        end: Of the node and of what was raised in it.
    """

    def __init__(
        self, begin: Callable[[], Node], end: Callable[[Node, BaseException | None], None]
    ) -> None:
        self._begin = begin
        self._end = end
        self._node: Node | None = None

    def __enter__(self) -> Path:
        node = self._enter()
        node.tree.enter(node)
        return node.folder

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._end(self._leave(), error)

    async def __aenter__(self) -> Path:
        try:
            node = await to_the_end(self._enter)
        except asyncio.CancelledError as error:
            if self._node is not None:
                await to_the_end(self._end, self._node, error)
            raise
        node.tree.enter(node, owns=False)
        return node.folder

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        await to_the_end(self._end, self._leave(), error)

    def _enter(self) -> Node:
        self._node = node = self._begin()
        return node

    def _leave(self) -> Node:
        assert self._node is not None  # noqa: S101 - it was entered
        self._node.tree.leave(self._node)
        return self._node


async def to_the_end(function: Callable[..., Result], *values: object) -> Result:
    """`asyncio.to_thread`, which a cancellation does not leave behind but waits for."""
    task = asyncio.ensure_future(asyncio.to_thread(function, *values))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def status_after(error: BaseException | None) -> Status:
    """How MLflow calls the end of what raised ``error``, or nothing."""
    match error:
        case None | SystemExit(code=None | 0):
            return "FINISHED"
        case SystemExit(code=int(code)) if by_signal(code):
            return "KILLED"
        case KeyboardInterrupt() | asyncio.CancelledError() | GeneratorExit():
            return "KILLED"
    return "FAILED"
