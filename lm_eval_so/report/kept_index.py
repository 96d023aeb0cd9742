"""A RunIndex in a file: written once, read in a moment."""

import json
import sys
from array import array
from pathlib import Path
from typing import Any, BinaryIO

from lm_eval_so.report.result_columns import COLUMNS, MOST_FINISH_REASONS
from lm_eval_so.report.run_index import RunIndex
from lm_eval_so.report.vocabulary import Field, Fields, TagSets, Words
from lm_eval_so.runner.store.parts.truth import ResultsStamp

_FORMAT = 2
_SIGN = {"format": _FORMAT, "columns": COLUMNS, "byteorder": sys.byteorder}


def write_index(index: RunIndex, file: BinaryIO) -> None:
    """Writes an index for `read_index`: a line of JSON, and the bytes of the arrays."""
    fields, words = index.fields.fields, index.vocabulary
    header = {
        **_SIGN,
        "lines": len(index),
        "ids": len(index.ids),
        "epoch": index.epoch,
        "damaged": index.damaged,
        "position": index.position,
        "stamp": index.stamp,
        "tail": index.tail.hex(),
        "errors": words.errors.words,
        "finish_reasons": words.finish_reasons.words,
        "tagsets": words.tagsets.sets,
        "fields": {name: field.values for name, field in fields.items()},
        "dropped": sorted(index.fields.dropped),
    }
    file.write(json.dumps(header).encode() + b"\n")
    file.writelines((*index.columns.values(), *(field.codes for field in fields.values())))
    file.write(index.ids)


def read_index(run_dir: Path, file: BinaryIO) -> RunIndex | None:
    """What `write_index` has written; None where the results file is another one by now.

    `RunIndex.extend` then reads what the results file has got since.

    Args:
        run_dir: The run directory.
        file: At the place where the index begins.
    """
    try:
        header = json.loads(file.readline())
        if {name: header[name] for name in _SIGN} != _SIGN:
            return None
        index = _restored(run_dir, header, file)
    except (ValueError, KeyError, TypeError, EOFError, OSError):
        return None
    return index if index.is_as_read() else None


def _restored(run_dir: Path, header: dict[str, Any], file: BinaryIO) -> RunIndex:
    index, lines = RunIndex(run_dir), header["lines"]
    for column in index.columns.values():
        column.fromfile(file, lines)
    index.fields = Fields(
        {name: Field(values, _codes(file, lines)) for name, values in header["fields"].items()},
        header["dropped"],
    )
    index.ids = bytearray(header["ids"])
    if file.readinto(index.ids) != len(index.ids):  # type: ignore[attr-defined]
        raise EOFError
    index.epoch, index.damaged = header["epoch"], header["damaged"]
    index.position, index.stamp = header["position"], ResultsStamp(*header["stamp"])
    index.tail = bytes.fromhex(header["tail"])
    words = index.vocabulary
    words.errors = Words(header["errors"])
    words.finish_reasons = Words(header["finish_reasons"], MOST_FINISH_REASONS)
    words.tagsets = TagSets(header["tagsets"])
    return index


def _codes(file: BinaryIO, lines: int) -> "array[int]":
    codes = array("B")
    codes.fromfile(file, lines)
    return codes
