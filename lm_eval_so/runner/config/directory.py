"""Where a run leaves its files: a name that any file system takes."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from lm_eval_so.runner.config.identity import fingerprint

_UNSAFE = re.compile(r'[\x00-\x20<>:"/\\|?*\x7f%]+')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_LONGEST = 255  # bytes, of one name on ext4, APFS and NTFS alike


def safe_name(text: str, longest: int = _LONGEST) -> str:
    """The text as a file name of at most ``longest`` bytes; slashes and colons become ``-``."""
    name = _UNSAFE.sub("-", text).strip("-. ")
    if _RESERVED.fullmatch(name):
        name = f"_{name}"
    return name.encode()[:longest].decode(errors="ignore").rstrip("-. ") or "_"


def run_directory(output_root: Path, identity: Mapping[str, Any]) -> Path:
    """``<output root>/<dataset id>/<backend>_<model>_<params>-<8 hex of the fingerprint>``.

    A variant stands behind the parameters.
    """
    digest = fingerprint(identity)[:8]
    words = [
        *(identity["backend"], identity["model"], _parameters(identity["parameters"])),
        identity.get("variant"),
    ]
    readable = safe_name("_".join(word for word in words if word), _LONGEST - len(digest) - 1)
    return output_root / safe_name(identity["dataset"]) / f"{readable}-{digest}"


def _parameters(parameters: Mapping[str, Any]) -> str:
    return ",".join(
        f"{name}={value if isinstance(value, str) else orjson.dumps(value).decode()}"
        for name, value in sorted(parameters.items())
    )
