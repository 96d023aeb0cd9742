"""Scripts over a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support import virtual_time
from support.cluster import Cluster
from support.sharded import Sharded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., Cluster]:
    """Runs a script over a cluster in virtual time."""

    def play(
        script: Callable[[Cluster], Awaitable[None]],
        samples: int,
        size: int,
        **setup: Any,  # noqa: ANN401
    ) -> Cluster:
        async def main() -> Cluster:
            cluster = Cluster(Sharded(tmp_path, samples, size), size, **setup)
            await script(cluster)
            return cluster

        return virtual_time.run(main())

    return play
