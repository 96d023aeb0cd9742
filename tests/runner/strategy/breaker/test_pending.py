from __future__ import annotations

import asyncio

import pytest

from lm_eval_so.runner.errors import InternalServerError
from lm_eval_so.runner.strategy.breaker.pending import PendingFailures, Verdict

ERROR = InternalServerError("a page of a gateway", status_code=500)


@pytest.mark.parametrize(("before", "since"), [(4, 100), (100, 4)])
def test_as_many_as_were_in_flight_when_the_oldest_without_a_verdict_failed(
    before: int, since: int
) -> None:
    """How many were in flight when an earlier one failed is long past."""

    async def main() -> None:
        in_flight = before
        pending = PendingFailures(lambda: in_flight)
        oldest = pending.add(1, "s0", ERROR)
        in_flight = since
        for n in range(1, since):
            pending.add(50, f"s{n}", ERROR)
        pending.resolve(Verdict.OWN, before=20)
        assert oldest.result() is Verdict.OWN
        assert pending.outage_error() is None
        pending.add(50, f"s{since}", ERROR)
        assert pending.outage_error() is ERROR

    asyncio.run(main())
