"""The path of a run directory, with a name that any file system accepts."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from lm_eval_so.runner.config.identity import fingerprint

_UNSAFE = re.compile(r'[\x00-\x20<>:"/\\|?*\x7f%]+')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_UNSAFE_IN_A_SHELL = re.compile(r"[^\w.,=+@-]+")
_LONGEST_NAME = 100  # characters of a run directory's name
_LONGEST_LABEL = 40  # characters of a prompt's label in it
_LONGEST = 255  # bytes, of one name on ext4, APFS and NTFS alike


def safe_name(text: str, longest: int = _LONGEST) -> str:
    """The text as a file name of at most ``longest`` bytes; slashes and colons become ``-``."""
    name = _UNSAFE.sub("-", text).strip("-. ")
    if _RESERVED.fullmatch(name):
        name = f"_{name}"
    return name.encode()[:longest].decode(errors="ignore").rstrip("-. ") or "_"


def run_directory(
    output_root: Path,
    identity: Mapping[str, Any],
    public: Mapping[str, Any] | None = None,
    prompt: str = "",
) -> Path:
    """``<output root>/<dataset id>/<backend>_<model>_<prompt>_<params>-<8 hex of fingerprint>``.

    Only parameters with a single value are in the name; the fingerprint covers the others. A
    variant comes after them. The name has at most 100 characters, and none that a shell interprets.

    Args:
        output_root: Contains all run directories.
        identity: What decides the answers.
        public: The identity without secrets, if it has any; the name is made from it.
        prompt: Label of the prompt, if there is one; its content is in the fingerprint alone.
    """
    words = identity if public is None else public
    shown = {name: value for name, value in words["parameters"].items() if _is_scalar(value)}
    digest = short_fingerprint(identity)
    readable = _UNSAFE_IN_A_SHELL.sub("-", _words(words, shown, prompt))[: _LONGEST_NAME - 9]
    return _below(output_root, identity, safe_name(readable, _LONGEST - 9), digest)


def short_fingerprint(identity: Mapping[str, Any]) -> str:
    """The part of the fingerprint that is in the name of a directory."""
    return fingerprint(identity)[:8]


def earlier_directory(output_root: Path, identity: Mapping[str, Any]) -> Path:
    """The path of the same run in version 0.1.0: with all parameters, as long as names can be."""
    digest = short_fingerprint(identity)
    readable = safe_name(_words(identity, identity["parameters"]), _LONGEST - len(digest) - 1)
    return _below(output_root, identity, readable, digest)


def _below(output_root: Path, identity: Mapping[str, Any], readable: str, digest: str) -> Path:
    return output_root / safe_name(identity["dataset"]) / f"{readable}-{digest}"


def _words(identity: Mapping[str, Any], parameters: Mapping[str, Any], prompt: str = "") -> str:
    label = prompt[:_LONGEST_LABEL]
    words = [identity["backend"], identity["model"], label, _parameters(parameters)]
    return "_".join(word for word in [*words, identity.get("variant")] if word)


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | int | float)


def _parameters(parameters: Mapping[str, Any]) -> str:
    return ",".join(
        f"{name}={value if isinstance(value, str) else orjson.dumps(value).decode()}"
        for name, value in sorted(parameters.items())
    )
