"""Ids of rows that bring none: made of their content, so that no other row moves them."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from lm_eval_so.runner.hash_index import HashIndex
from lm_eval_so.runner.models import SAMPLE_PARAMETERS

_CONTENT = ("messages", *SAMPLE_PARAMETERS, "expected")
_LENGTH = 16  # hex digits
_canonical = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


class Ids:
    """The ids of one pass over a dataset; takes some 25 bytes for each.

    Only what is sent and what is expected counts. So a note can be edited and a column added, and
    nothing is asked again.
    """

    def __init__(self) -> None:
        self._seen = HashIndex()

    def of(self, sample: Mapping[str, Any]) -> tuple[str, bool]:
        """The id of a sample, and whether its content came before: then with ``-2``, ``-3``..."""
        content = {key: sample[key] for key in _CONTENT if sample.get(key) is not None}
        text = _canonical(content)
        digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:_LENGTH]
        count = (self._seen.get(digest) or 0) + 1
        self._seen[digest] = count
        return (digest, False) if count == 1 else (f"{digest}-{count}", True)
