"""The steps of a pipeline, and which of them a thread or coroutine is in."""

from __future__ import annotations

import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING

from lm_eval_so.runner.config.run_path import safe_name
from lm_eval_so.tracking.names import unique

if TYPE_CHECKING:
    from pathlib import Path


class Node:
    """The pipeline, or a step of it: a folder and a run of MLflow's.

    Attributes:
        outer: What the caller was in before, which may be a step of another pipeline.
        run_id: Empty until MLflow has made the run.
    """

    def __init__(self, tree: Tree, name: str, folder: Path, parent: Node | None) -> None:
        self.tree = tree
        self.name = name
        self.folder = folder
        self.parent = parent
        self.outer = _CURRENT.get()
        self.run_id = ""
        self.is_open = True
        self.is_ended = False  # and MLflow has been told so, or will be
        self.taken: set[str] = set()  # names of the folders in this one


_CURRENT: ContextVar[Node | None] = ContextVar("lm_eval_so_step", default=None)


class Tree:
    """The nodes of one pipeline.

    Coroutines carry the step that they are in with them. A thread begins in none, and is then taken
    to be in the one that the thread which entered the pipeline is in.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.root = Node(self, name, folder, None)
        self._owner_thread = 0
        self._owner_node = self.root
        self._lock = threading.Lock()

    @property
    def here(self) -> Node:
        """The innermost step that the caller is in, or the root."""
        node = _CURRENT.get()
        while node is not None and node.tree is not self:
            node = node.outer
        if node is None:
            node = self._owner_node
            while not node.is_open and node.parent is not None:
                node = node.parent
        return node

    def grow(self, name: str, parent: Node) -> Node:
        """A new step within ``parent``; a second of its name is ``name-2``."""
        readable = safe_name(name)
        with self._lock:
            folder = unique(readable, parent.taken)
        return Node(self, name + folder[len(readable) :], parent.folder / folder, parent)

    def enter(self, node: Node, *, owns: bool = True) -> None:
        """The caller is in the node from now on; ``owns``, and so are threads that it starts."""
        _CURRENT.set(node)
        if node is self.root:
            self._owner_thread = threading.get_ident()
        if owns and threading.get_ident() == self._owner_thread:
            self._owner_node = node

    def leave(self, node: Node) -> None:
        """The caller is where it was before."""
        node.is_open = False
        _CURRENT.set(node.outer)
        if self._owner_node is node and node.parent is not None:
            self._owner_node = node.parent
