"""A token that a command prints, and that is renewed before it ends or where it is refused."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import orjson

from lm_eval_so.runner.backends.http.header import header_fault
from lm_eval_so.runner.backends.http_api.environment import KEY
from lm_eval_so.runner.backends.http_api.path import Path, PathError
from lm_eval_so.runner.backends.http_api.template import as_text
from lm_eval_so.runner.errors import AuthenticationError, BackendSetupError, ConfigError
from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.masking.values import MASK, without_handed_on
from lm_eval_so.runner.text.one_line import one_line

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Callable

    from lm_eval_so.runner.backends.http_api.options import AuthOptions

_EARLY = 0.1  # share of the lifetime; at the most:
_MOST_EARLY_S = 60.0
_AGAIN_S = 5.0
"""Seconds after which a command that failed is run again; meanwhile its error stands."""
_LONGEST_REASON = 300  # characters
_JSON_NAMES = frozenset({"json"})


class Token:
    """One token for all requests; the command is never run twice at once.

    Args:
        options: With the command.
        clock: In seconds.

    Attributes:
        runs: Times that the command was run.

    Raises:
        BackendSetupError: There is no such program.
    """

    def __init__(self, options: AuthOptions, clock: Callable[[], float] = time.monotonic) -> None:
        if shutil.which(options.token_command[0]) is None:
            raise BackendSetupError(
                f"{KEY}.auth.token_command: there is no program {options.token_command[0]!r}"
            )
        if fault := header_fault(options.header, options.prefix):
            raise ConfigError(f"{KEY}.auth: {fault}")
        # A path looks into what the command prints, which has no name.
        whole = f"json.{options.token_path}" if options.token_path else None
        self._path = None if whole is None else Path(whole, _JSON_NAMES, f"{KEY}.auth.token_path")
        self._options = options
        self._clock = clock
        self._turn = asyncio.Lock()
        self._value: str | None = None
        self._ends = self._failed_until = 0.0
        self._failure: AuthenticationError | None = None
        self._accepted = False
        self.runs = 0

    def headers(self, token: str) -> dict[str, str]:
        """What authorises a request."""
        return {self._options.header: self._options.prefix + token}

    @property
    def shown(self) -> dict[str, str]:
        """The same, to look at."""
        return self.headers(MASK)

    async def get(self) -> str:
        """A token that is good for now.

        Raises:
            AuthenticationError: The command gives none.
        """
        if self._value is None or self._clock() >= self._ends:
            async with self._turn:
                if self._value is None or self._clock() >= self._ends:
                    await self._renew()
        assert self._value is not None  # noqa: S101 - else it was raised
        return self._value

    def accept(self, token: str) -> None:
        """Notes that the server took it."""
        if token == self._value:
            self._accepted = True

    async def replace(self, refused: str) -> str | None:
        """Another token in the place of one that was refused.

        None where that one was never taken, so that another one would be no better.

        Raises:
            AuthenticationError: The command gives none.
        """
        async with self._turn:
            if self._value == refused:
                if not self._accepted:
                    return None
                self._accepted = False
                await self._renew()
        return self._value

    def hide(self, text: bytes) -> bytes:
        """What the server says without the token."""
        token = (self._value or "").encode()
        return text.replace(token, MASK.encode()) if token and token in text else text

    def hiding(self) -> Hiding:
        """Hides the token in what comes piece by piece."""
        return Hiding((self._value or "").encode())

    async def _renew(self) -> None:
        now = self._clock()
        if self._failure is not None and now < self._failed_until:
            raise self._failure
        try:
            value = self._token_in(await self._printed())
        except AuthenticationError as error:
            error.retryable = self.runs > 1 and self._value is not None
            self._failure, self._failed_until = error, self._clock() + _AGAIN_S
            raise
        early = min(self._options.lifetime * _EARLY, _MOST_EARLY_S)
        self._accepted = self._accepted and value == self._value
        self._value, self._ends = value, now + self._options.lifetime - early
        self._failure = None

    async def _printed(self) -> bytes:
        self.runs += 1
        child = await asyncio.create_subprocess_exec(
            *self._options.token_command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=without_handed_on(),
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(self._options.timeout):
                printed, said = await child.communicate()
        except TimeoutError:
            raise self._fault(f"gave nothing within {self._options.timeout:g} s") from None
        finally:
            await _end(child)
        if child.returncode != 0:
            reason = one_line(said.decode(errors="replace").strip(), _LONGEST_REASON)
            raise self._fault(
                f"ended with code {child.returncode}: {reason or 'it gave no reason'}"
            )
        return printed

    def _token_in(self, printed: bytes) -> str:
        text = printed.decode(errors="replace").strip()
        if self._path is not None:
            try:
                text = as_text(self._path({"json": orjson.loads(text)})).strip()
            except (orjson.JSONDecodeError, PathError) as error:
                raise self._fault("printed no JSON with a token") from error
        if not text or len(text.split()) != 1 or header_fault(self._options.header, text):
            raise self._fault("printed no token: one word is expected")
        return text

    def _fault(self, what: str) -> AuthenticationError:
        program = self._options.token_command[0]
        hidden = Redactor([self._value or ""]).text(what)
        return AuthenticationError(f"{KEY}.auth.token_command ({program}) {hidden}")


async def _end(child: Process) -> None:
    """Ends a command that still runs, with all that it has started."""
    if child.returncode is None:
        with suppress(ProcessLookupError):
            if os.name == "posix":
                os.killpg(child.pid, signal.SIGKILL)
            else:
                child.kill()
        await child.wait()


class Hiding:
    """Hides a token in a stream, also where it is split over two pieces.

    Args:
        token: Empty for none.
    """

    def __init__(self, token: bytes) -> None:
        self._token = token
        self._held = b""  # what may be the beginning of the token

    def feed(self, piece: bytes) -> bytes:
        """The stream without the token, as far as it is known to be none."""
        if not self._token:
            return piece
        text = (self._held + piece).replace(self._token, MASK.encode())
        longest = min(len(text), len(self._token) - 1)
        held = next((n for n in range(longest, 0, -1) if self._token.startswith(text[-n:])), 0)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def rest(self) -> bytes:
        """What was held back, at the end of the stream."""
        held, self._held = self._held, b""
        return held
