"""The same beginning of a conversation goes to the same replica, which has it in its cache."""

from __future__ import annotations

import math
from functools import lru_cache
from hashlib import blake2b
from operator import attrgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lm_eval_so.runner.backends.http.replica import Replica

_BOUND = 1.25
"""Of the mean of what is in flight, beyond which the next replica takes a request."""
_REMEMBERED = 4096  # prefixes


class Affinity:
    """Rendezvous hashing with bounded load.

    Each replica has a score for each prefix, and the highest wins: a replica that goes or comes
    moves its own prefixes alone (Thaler and Ravishankar, 1998). One that has more than 1.25 times
    the mean in flight is passed over (Mirrokni, Thorup and Zadimoghaddam, "Consistent Hashing with
    Bounded Loads", 2016).

    Args:
        replicas: All there are.
        prefix_of: The beginning that a request shares with others, by its body; empty for none.
    """

    def __init__(self, replicas: Sequence[Replica], prefix_of: Callable[[bytes], bytes]) -> None:
        self._replicas = replicas
        self._prefix_of = prefix_of
        self._ranked = lru_cache(_REMEMBERED)(self._rank)

    def choice(self, body: bytes, candidates: Iterable[Replica]) -> Replica | None:
        """The replica for a request; None where its load alone should decide."""
        prefix = self._prefix_of(body)
        if not prefix:
            return None
        free = {replica.name: replica for replica in candidates}
        in_flight = sum(map(attrgetter("in_flight"), free.values()))
        most = math.ceil(_BOUND * (in_flight + 1) / max(1, len(free)))
        for name in self._ranked(blake2b(prefix, digest_size=16).digest()):
            if name in free and free[name].in_flight < most:
                return free[name]
        return None

    def _rank(self, prefix: bytes) -> list[str]:
        names = (replica.name for replica in self._replicas)
        return sorted(names, key=lambda name: blake2b(name.encode(), key=prefix).digest())
