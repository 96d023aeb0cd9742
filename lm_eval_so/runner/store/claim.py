"""What the holder of a run directory writes about itself, and whether it still runs."""

import os
import secrets
import socket
from pathlib import Path
from typing import NamedTuple

from pydantic import ConfigDict, ValidationError

from lm_eval_so.runner.models import Value


class Claim(Value):
    """The content of the holder's file.

    Attributes:
        boot: Id of the boot of the host; None if it is unknown.
        namespace: Pid namespace of ``pid``, such as that of a container.
        began: When the process began, in ticks since the boot; None if it is unknown.
        token: Unique for this claim.
        heartbeat: Time of the last renewal, by the holder's clock.
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
    """A new claim, without a heartbeat yet."""
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
    """The claim in a file; None if it is damaged."""
    try:
        return Claim.model_validate_json(text)
    except ValidationError:
        return None


def named(claim: Claim | None) -> str:
    """Which process it is, in brackets."""
    return "" if claim is None else f" (pid {claim.pid} on host {claim.host})"


def is_gone(claim: Claim | None) -> bool:
    """Whether its process would be visible from here, but no longer exists."""
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
    """The boot, the pid namespace and when this process began; Nones if they are unknown."""
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
    is_dead: bool  # but its parent has not noticed yet
    began: int


def _process(pid: int | str) -> _Process | None:
    try:
        before, _, after = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
        state, *numbers = after.split()
        return _Process(int(before.split()[0]), state in "ZX", int(numbers[18]))
    except (OSError, ValueError, IndexError):
        return None
