"""A step of a pipeline as a context, and which of them a thread or coroutine is in."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeVar

from lm_eval_so.runner.config.run_path import safe_name
from lm_eval_so.tracking.names import unique

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Result = TypeVar("Result")


class Step:
    """A step of a pipeline, or the whole of it: ``with`` or ``async with`` it, once.

    Args:
        tree: All steps of the pipeline.
        name: As MLflow shows it.
        begin: Gives it a folder and a run of MLflow's.
        end: Is told what was raised in it.

    Attributes:
        outer: What the caller was in before, which may be a step of another pipeline.
        folder: Set by ``begin``.
        run_id: Empty until MLflow has made the run.
    """

    outer: Step | None
    folder: Path

    def __init__(
        self,
        tree: Tree,
        name: str,
        begin: Callable[[Step], object],
        end: Callable[[Step, BaseException | None], object],
    ) -> None:
        self.tree = tree
        self._begin = begin
        self._end = end
        self.name = name
        self.parent: Step | None = None
        self.run_id = ""
        self.is_open = False
        self.is_ended = False  # and MLflow has been told so, or will be
        self.taken: set[str] = set()  # names of the folders in this one

    def __enter__(self) -> Path:
        self._begin(self)
        self.tree.enter(self)
        return self.folder

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.tree.leave(self)
        self._end(self, error)

    async def __aenter__(self) -> Path:
        try:
            await _to_the_end(self._begin, self)
        except asyncio.CancelledError as error:
            if self.is_open:
                await _to_the_end(self._end, self, error)
            raise
        self.tree.enter(self, owns=False)
        return self.folder

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.tree.leave(self)
        await _to_the_end(self._end, self, error)


_CURRENT: ContextVar[Step | None] = ContextVar("lm_eval_so_step", default=None)


class Tree:
    """The steps of one pipeline.

    Coroutines carry the step that they are in with them. A thread begins in none, and is then taken
    to be in the one that the thread which entered the pipeline is in.
    """

    def __init__(self) -> None:
        self._owner_thread = 0
        self._owner_step: Step | None = None
        self._lock = threading.Lock()

    @property
    def here(self) -> Step | None:
        """The innermost step that the caller is in, or the whole; None before the pipeline."""
        step = _CURRENT.get()
        while step is not None and step.tree is not self:
            step = step.outer
        if step is None:
            step = self._owner_step
            while step is not None and not step.is_open and step.parent is not None:
                step = step.parent
        return step

    def grow(self, step: Step, parent: Step) -> None:
        """Lays the step into ``parent``; a second of its name is ``name-2``."""
        readable = safe_name(step.name)
        with self._lock:
            folder = unique(readable, parent.taken)
        step.name += folder[len(readable) :]
        step.parent, step.folder = parent, parent.folder / folder

    def enter(self, step: Step, *, owns: bool = True) -> None:
        """The caller is in the step from now on; ``owns``, and so are threads that it starts."""
        step.outer = _CURRENT.get()
        _CURRENT.set(step)
        if self._owner_step is None:
            self._owner_thread = threading.get_ident()
            self._owner_step = step
        elif owns and threading.get_ident() == self._owner_thread:
            self._owner_step = step

    def leave(self, step: Step) -> None:
        """The caller is where it was before."""
        step.is_open = False
        _CURRENT.set(step.outer)
        if self._owner_step is step and step.parent is not None:
            self._owner_step = step.parent


async def _to_the_end(function: Callable[..., Result], *values: object) -> Result:
    """`asyncio.to_thread`, which a cancellation does not leave behind but waits for."""
    task = asyncio.ensure_future(asyncio.to_thread(function, *values))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
