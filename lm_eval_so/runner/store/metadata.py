"""``run_metadata.json``: what was run, on what, with what, and what came of it."""

import os
import platform
import socket
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import orjson

from lm_eval_so._version import __version__
from lm_eval_so.runner.errors import ForeignRunError, StoreError
from lm_eval_so.runner.masking.options import shown
from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.masking.values import without_handed_on
from lm_eval_so.runner.store.files import is_full, replace_file, sync_file
from lm_eval_so.runner.store.results import RESULTS

METADATA = "run_metadata.json"
_ROOM = b" " * 2048 + b"\n"
_PACKAGES = ("hydra-core", "omegaconf", "openai", "pydantic", "tenacity", "xllamacpp")


def write_metadata(directory: Path, metadata: Mapping[str, Any]) -> None:
    """Replaces the file in one step.

    Where the disk is full, it is written over in place, without the summary if that does not fit:
    while a run goes on its file is larger than needed, so that there is room to say how it ended.

    Raises:
        StoreError: It cannot be written.
    """
    path, running = directory / METADATA, metadata.get("state") == "running"
    try:
        replace_file(path, [_text(metadata), *([_ROOM] if running else [])])
    except StoreError as error:
        shorter = {**metadata, "summary": None}
        if not is_full(error) or not any(_written_over(path, each) for each in (metadata, shorter)):
            raise


def _text(metadata: Mapping[str, Any]) -> bytes:
    return orjson.dumps(metadata, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _written_over(path: Path, metadata: Mapping[str, Any]) -> bool:
    """Whether the file has taken the text, in the room that it has on the disk already."""
    text = _text(metadata)
    try:
        with path.open("r+b", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            if len(text) > size:
                return False
            file.write(text.ljust(size))
            sync_file(file.fileno(), path)
    except OSError:
        return False
    return True


def read_metadata(directory: Path) -> dict[str, Any] | None:
    """What stands in the directory, or None.

    Raises:
        StoreError: The file is damaged.
    """
    path = directory / METADATA
    try:
        metadata = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, orjson.JSONDecodeError) as error:
        raise StoreError(f"{path} cannot be read ({error}); move the directory away") from error
    return metadata if isinstance(metadata, dict) else {}


def check_owner(
    directory: Path, identity: Mapping[str, Any], redactor: Redactor | None = None
) -> None:
    """Makes sure that the directory is new, or belongs to the same identity.

    Compared is what may be written; earlier versions wrote more.

    Raises:
        ForeignRunError: It holds something else; the message names the keys that differ.
    """
    metadata = read_metadata(directory)
    if metadata is None:
        if _holds_results(directory / RESULTS):
            raise ForeignRunError(
                f"{directory} holds a {RESULTS} but no {METADATA}, so whose it is cannot be told; "
                "choose another output_dir"
            )
        return
    owner = metadata.get("identity")
    public = (redactor or Redactor()).data
    there = public(shown(owner if isinstance(owner, dict) else {}))
    differing = _differences(there, public(shown(identity)), "")
    if differing:
        raise ForeignRunError(
            f"{directory} belongs to another configuration: {'; '.join(differing)}; choose another "
            "output_dir, or leave it out"
        )


def _holds_results(path: Path) -> bool:
    """Whether there is a line; an empty file is what a command left that went no further."""
    return path.exists() and path.stat().st_size > 0


def environment() -> dict[str, Any]:
    """Versions and the machine."""
    return {
        "lm_eval_so": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": socket.gethostname(),
        "git_commit": _git_commit(),
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
    }


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str) -> list[str]:
    found: list[str] = []
    for key in sorted({*old, *new}):
        before, now = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(now, dict):
            found += _differences(before, now, f"{prefix}{key}.")
        elif before != now:
            found.append(f"{prefix}{key} is {before!r} there and {now!r} here")
    return found


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    command = ["git", "rev-parse", "HEAD"]
    try:
        found = subprocess.run(  # noqa: S603 - a constant
            command, capture_output=True, text=True, check=False, env=without_handed_on()
        )
    except OSError:
        return None
    return found.stdout.strip() or None
