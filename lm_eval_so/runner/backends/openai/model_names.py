"""The models that a server says it has."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from lm_eval_so.runner.backends.http.json_body import read_json
from lm_eval_so.runner.errors import BackendError

if TYPE_CHECKING:
    from lm_eval_so.runner.backends.http.pool import Pool
    from lm_eval_so.runner.backends.http.transport import Transport

_PATH = "/models"
_PATIENCE = 5  # seconds
_LONGEST = 4_000_000  # bytes; OpenRouter's list of models has 0.5 MB


async def model_names(transport: Transport | Pool) -> list[str]:
    """What the server says it has; nothing where it does not say."""
    try:
        async with asyncio.timeout(_PATIENCE):
            listed = read_json((await transport.get(_PATH, longest=_LONGEST)).body)
    except (BackendError, TimeoutError):
        return []
    rows = listed.get("data") if isinstance(listed, dict) else None
    if not isinstance(rows, list):
        return []
    return [str(row["id"]) for row in rows if isinstance(row, dict) and "id" in row]
