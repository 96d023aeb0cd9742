"""Commands for which one directory lies on mounts whose locks do not reach each other."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

_OVERLAY = "mount -t overlay overlay -o lowerdir={low},upperdir={upper},workdir={work} {at}"


def through_a_second_mount(directory: Path) -> tuple[list[str], Path]:
    """What to put before a command, and where it then sees ``directory``.

    It is an overlay mount in a namespace of the command's own: the files are the same ones, and
    flock on either side knows nothing of the other.
    """
    names = ("low", "work", "at")
    low, work, at = (directory.with_name(f"{directory.name}-{name}") for name in names)
    for made in (low, work, at, directory):
        made.mkdir(exist_ok=True)
    mount = _OVERLAY.format(low=low, upper=directory, work=work, at=at)
    inner = f'{mount} && exec "$@"'
    words = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", inner, "sh"]
    _skip_unless_it_works([*words, "true"])
    return words, at


def with_locks_of_its_own(directory: Path) -> tuple[list[str], Path]:
    """The same, where every flock is told to have succeeded."""
    inject = ["-e", "trace=flock", "-e", "inject=flock:retval=0"]
    words = ["strace", "-f", "-qqq", "-o", "/dev/null", "--seccomp-bpf", *inject]
    _skip_unless_it_works([*words, "true"])
    return words, directory


def _skip_unless_it_works(words: list[str]) -> None:
    if shutil.which(words[0]) is None:
        pytest.skip(f"there is no {words[0]} here")
    tried = subprocess.run(words, capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"{shlex.join(words[:4])} is not allowed here: {tried.stderr.strip()}")
