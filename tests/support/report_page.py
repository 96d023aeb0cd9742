"""A page of ``lm-eval-so report``, read as its script reads it."""

from __future__ import annotations

import base64
import json
import re
import zlib
from array import array
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from lm_eval_so.report.board import Board

_CODES = {"u8": "B", "u16": "H", "u32": "I", "f32": "f"}
_ELEMENT = re.compile(rb'<script type="[^"]+" id="([^"]+)">(.*?)</script>', re.DOTALL)


class ReadPage:
    """What a page holds.

    Attributes:
        rows: Of all blocks.
    """

    def __init__(self, manifest: dict[str, Any], index: bytes, blocks: list[bytes]) -> None:
        self.manifest = manifest
        self.index = index
        self.rows: list[dict[str, Any]] = [row for block in blocks for row in json.loads(block)]

    @classmethod
    def of_board(cls, board: Board) -> ReadPage:
        blocks = [board.block(number) for number in range(board.blocks)]
        return cls(json.loads(json.dumps(board.manifest())), board.columns(), blocks)

    @classmethod
    def of_file(cls, path: Path) -> ReadPage:
        found = dict(_ELEMENT.findall(path.read_bytes()))
        manifest = json.loads(found[b"manifest"])
        names = [f"block-{number}".encode() for number in range(manifest["blocks"])]
        return cls(manifest, unpacked(found[b"index"]), [unpacked(found[name]) for name in names])

    def column(self, name: str) -> list[float]:
        (place,) = (one for one in self.manifest["columns"] if one["name"] == name)
        assert place["offset"] % 4 == 0
        values = array(_CODES[place["type"]])
        begin = place["offset"]
        values.frombytes(self.index[begin : begin + place["count"] * values.itemsize])
        return values.tolist()

    def result(self, name: str, row: int, slot: int = 0) -> float:
        """A value of a column of results."""
        return self.column(name)[slot * int(self.manifest["rows"]) + row]

    @property
    def ids(self) -> list[str]:
        place = self.manifest["ids"]
        text = self.index[place["offset"] : place["offset"] + place["bytes"]]
        found: list[str] = json.loads(text)
        return found

    def everything(self) -> str:
        """All text that is in it."""
        return json.dumps([self.manifest, self.rows, self.ids], ensure_ascii=False)


def unpacked(element: bytes) -> bytes:
    """The content of an element that holds bytes."""
    return zlib.decompress(base64.b64decode(element), wbits=-15)
