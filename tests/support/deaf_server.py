"""A server that answers once, and leaves it to the client to end the connection."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

_PATIENCE_S = 20.0  # below the 30 s after which asyncio gives up the end of TLS
_PIECE = 1 << 16  # bytes


class DeafServer:
    """Takes one connection, in a thread; it never answers the end of TLS.

    Args:
        answer: Bytes for the first piece of a request.
        tls: None for plain TCP.

    Attributes:
        asked: Set when the answer is sent.
    """

    def __init__(self, answer: bytes = b"", tls: ssl.SSLContext | None = None) -> None:
        self.asked = threading.Event()
        self._answer = answer
        self._tls = tls
        self._taken: socket.socket | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(_PATIENCE_S)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._thread.join()
        self._listener.close()
        if self._taken is not None:
            self._taken.close()

    @property
    def base_url(self) -> str:
        return f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self.port}/v1"

    def rest(self) -> int:
        """Bytes on the wire from the answer to the end of the connection.

        Raises:
            TimeoutError: The client keeps it open.
        """
        assert self.asked.wait(_PATIENCE_S)
        self._thread.join()
        assert self._taken is not None
        count = 0
        try:
            while piece := self._taken.recv(_PIECE):
                count += len(piece)
        except ConnectionError:  # what was not read here is answered with a reset
            pass
        return count

    def _serve(self) -> None:
        taken, _ = self._listener.accept()
        taken.settimeout(_PATIENCE_S)
        self._taken = taken
        if self._tls is None:
            taken.recv(_PIECE)
            taken.sendall(self._answer)
        else:
            with self._tls.wrap_socket(taken.dup(), server_side=True) as spoken:
                spoken.recv(_PIECE)
                spoken.sendall(self._answer)
        self.asked.set()
