"""The end of a run before its time: the first reason holds."""

from enum import Enum
from typing import NamedTuple


class Why(Enum):
    """What kind of reason ends a run; the driver makes an exception of it."""

    UNUSABLE = "no sample can be answered"
    BUDGET = "the budget is spent"
    ASKED = "a person or a system asked for it"
    FAULT = "a fault of a worker or of the driver"


class StopOrder(NamedTuple):
    """What workers are told, in every answer to a heartbeat.

    Attributes:
        why: The kind of reason.
        reason: In one sentence, without secrets.
        at_once: What is in flight is given up too.
    """

    why: Why
    reason: str
    at_once: bool = False


class Stopping:
    """Keeps the first reason.

    Attributes:
        order: What workers are told; None while the run goes on.
    """

    def __init__(self) -> None:
        self.order: StopOrder | None = None

    def request(self, why: Why, reason: str, *, at_once: bool = False) -> StopOrder:
        """Asks for the end; a later call can only make it more urgent."""
        first = self.order or StopOrder(why, reason)
        self.order = first._replace(at_once=first.at_once or at_once)
        return self.order
