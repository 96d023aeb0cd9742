"""The share of the requests sent of late that something happened to."""


class SentShare:
    """Decays with each request *sent*, and not with what came back.

    A refusal is back within milliseconds and an answer within seconds, so that counted by what
    came back, each new start would look like an overload.

    Args:
        span: Requests that it looks back on.

    Attributes:
        value: From 0 to about 1.
    """

    def __init__(self, span: int) -> None:
        self.value = 0.0
        self._span = span

    def sent(self) -> None:
        """A request leaves."""
        self.value -= self.value / self._span

    def add(self) -> None:
        """It happened to one."""
        self.value += 1 / self._span
