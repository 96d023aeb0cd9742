"""The models that a server says it has."""

from __future__ import annotations

import asyncio
from difflib import get_close_matches
from typing import TYPE_CHECKING

from lm_eval_so.runner.backends.http.json_body import read_json
from lm_eval_so.runner.errors import BackendError

if TYPE_CHECKING:
    from lm_eval_so.runner.backends.http.pool import Pool
    from lm_eval_so.runner.backends.http.transport import Transport

_PATIENCE = 5  # seconds
_LONGEST = 4_000_000  # bytes; OpenRouter's list of models has 0.5 MB
_MOST_NAMED = 5  # models


async def model_names(transport: Transport | Pool, path: str = "/models") -> list[str]:
    """What the server says it has; nothing where it does not say.

    Args:
        transport: Opened.
        path: Of the list, behind the address of the connection.
    """
    try:
        async with asyncio.timeout(_PATIENCE):
            listed = read_json((await transport.get(path, longest=_LONGEST)).body)
    except (BackendError, TimeoutError):
        return []
    rows = listed.get("data") if isinstance(listed, dict) else None
    if not isinstance(rows, list):
        return []
    return [str(row["id"]) for row in rows if isinstance(row, dict) and "id" in row]


async def advice_on_model(
    transport: Transport | Pool, model: str, endpoint: str, path: str = "/models"
) -> str:
    """What to do about a model or an address that is not found.

    Args:
        transport: Opened.
        model: That was asked for.
        endpoint: The address as it may be written, or those of a pool.
        path: As for `model_names`.
    """
    names = await model_names(transport, path)
    if not names or model in names:
        return f"check model and backend.options.base_url ({endpoint})"
    near = get_close_matches(model, names, n=_MOST_NAMED, cutoff=0)
    return f"{endpoint} has no model {model!r}; it has {', '.join(near)}"
