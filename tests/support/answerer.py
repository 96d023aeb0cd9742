"""What is behind a backend in the table of what all backends must keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "sk-0123456789-of-nobody-abcdef"  # noqa: S105 - nobody's
Behaviour = Literal["echoes", "refuses", "tells"]
"""Answers with an echo; refuses all as with a wrong key; tells the key in all it says."""
LATENCY = 0.02  # seconds


@dataclass(frozen=True)
class Answerer:
    """What is behind a backend.

    Attributes:
        arguments: That choose the backend.
        env: Variables that it needs.
        asked: The questions that came so far, in order.
    """

    arguments: list[str]
    env: dict[str, str]
    asked: Callable[[], list[str]]
