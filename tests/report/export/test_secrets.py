"""A key that a server repeats, and one in an address, are in no export."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from lm_eval_so.report.export.cli import main
from lm_eval_so.report.export.registry import FORMATS
from support.fake_openai import FakeOpenAI, Received, Reply

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

KEY, PASSWORD = "sk-very/secret+key=0123456789", "pass-word-99"  # noqa: S105 - nobody's


def repeats_the_key(request: Received) -> Reply:
    """What some gateways say of a request that they refuse."""
    if "0" in request.body["messages"][-1]["content"]:
        said = {"message": f"no such thing for {KEY} at http://me:{PASSWORD}@host", "type": "x"}
        return Reply({"error": said}, status=422)
    return Reply(request.completion("fine"))
