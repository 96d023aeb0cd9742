"""What the holder of a run directory says of itself, and what that tells of it from here."""

import os
import secrets
import socket
from pathlib import Path
from typing import NamedTuple

from pydantic import ConfigDict, ValidationError

from lm_eval_so.runner.models import Value


class Claim(Value):
    """What the file holds.

    Attributes:
        boot: Of the host's kernel, anew each time that it starts; None where that is not told.
        namespace: In which ``pid`` counts, as in a container.
        began: When the process began, in ticks since the boot; None where that is not told.
        token: Of this claim alone.
        heartbeat: When it was last renewed, on the holder's own clock.
    """

    model_config = ConfigDict(extra="ignore")

    host: str
    pid: int
    boot: str | None = None
    namespace: str | None = None
    began: int | None = None
    token: str
    heartbeat: str


def claim_of_this_process() -> Claim:
    """A new one, without a heartbeat yet."""
    boot, namespace, began = _here()
    return Claim(
        host=socket.gethostname(),
        pid=os.getpid(),
        boot=boot,
        namespace=namespace,
        began=began,
        token=secrets.token_hex(8),
        heartbeat="",
    )


def parsed(text: bytes) -> Claim | None:
    """The claim in a file; None where that is damaged."""
    try:
        return Claim.model_validate_json(text)
    except ValidationError:
        return None


def named(claim: Claim | None) -> str:
    """The words that tell which process it is, in brackets."""
    return "" if claim is None else f" (pid {claim.pid} on host {claim.host})"


def is_gone(claim: Claim | None) -> bool:
    """Whether its process could be seen from here, and is not there any more."""
    if claim is None or None in (claim.boot, claim.namespace, claim.began):
        return False
    boot, namespace, _ = _here()
    if (claim.boot, claim.namespace) != (boot, namespace):
        return False
    try:
        os.kill(claim.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass  # another user's
    found = _process(claim.pid)
    return found is not None and (found.is_dead or found.began != claim.began)


def _here() -> tuple[str | None, str | None, int | None]:
    """The boot, the pid namespace and when this process began; Nones where they are not told."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return None, None, None
    found = _process("self")
    if found is None or found.pid != os.getpid():  # /proc is another namespace's
        return None, None, None
    return boot, namespace, found.began


class _Process(NamedTuple):
    pid: int
    is_dead: bool  # and only its parent has not noticed yet
    began: int


def _process(pid: int | str) -> _Process | None:
    try:
        before, _, after = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
        state, *numbers = after.split()
        return _Process(int(before.split()[0]), state in "ZX", int(numbers[18]))
    except (OSError, ValueError, IndexError):
        return None
