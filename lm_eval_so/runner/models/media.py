"""Content parts that name a file of the dataset in the place of its bytes."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

SCHEME = "file:"
MARK = "#sha256="
"""Stands between the path and the digest of a file that has been found."""
_HOLDERS = {
    "image_url": ("image_url", "url"),
    "input_audio": ("input_audio", "data"),
    "file": ("file", "file_data"),
}
"""By the type of a part of Chat Completions: where its bytes, or their address, stand."""


class FileReference(NamedTuple):
    """A file that a part names.

    Attributes:
        kind: The type of the part.
        holder: The object of the part that names it.
        key: Where in the holder.
    """

    kind: str
    holder: dict[str, Any]
    key: str

    @property
    def path(self) -> str:
        """The path as it is in the dataset."""
        return str(self.holder[self.key]).removeprefix(SCHEME).partition(MARK)[0]

    @property
    def sha256(self) -> str:
        """The digest of the file when it was found, in hex; empty before."""
        return str(self.holder[self.key]).partition(MARK)[2]


def file_references(messages: Sequence[Any]) -> Iterator[FileReference]:
    """The files that a conversation names, in order; whatever is no message is passed over."""
    for message in messages:
        content = message.get("content") if isinstance(message, dict) else None
        for part in content if isinstance(content, list) else ():
            found = _reference(part)
            if found is not None:
                yield found


def local_path(folder: Path, named: str) -> Path:
    """The path of a file that a sample names, as a path or as the rest of a ``file://`` address."""
    if named.startswith("//"):
        return Path(unquote(urlsplit(f"{SCHEME}{named}").path))
    return folder / named


def _reference(part: object) -> FileReference | None:
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(part, dict) or not isinstance(kind, str) or kind not in _HOLDERS:
        return None
    name, key = _HOLDERS[kind]
    holder = part.get(name)
    value = holder.get(key) if isinstance(holder, dict) else None
    if isinstance(holder, dict) and isinstance(value, str) and value.startswith(SCHEME):
        return FileReference(kind, holder, key)
    return None
