from __future__ import annotations

import asyncio

import pytest

from lm_eval_so.runner.errors import InternalServerError
from lm_eval_so.runner.strategy.breaker.pending import PendingFailures, Verdict

ERROR = InternalServerError("a page of a gateway", status_code=500)


@pytest.mark.parametrize("in_flight", [(4, 20), (20, 4), (4, 20, 4)])
def test_as_many_as_were_in_flight_at_any_time_since_failures_are_held(
    in_flight: tuple[int, ...],
) -> None:
    """A run begins with few in flight, and has few again at its end."""

    async def main() -> None:
        now = in_flight[0]
        pending = PendingFailures(lambda: now)
        for number, now in enumerate(in_flight):  # noqa: B007 - the lambda reads it
            pending.add(number, f"earlier {number}", ERROR)
            pending.resolve(Verdict.OWN, before=number)
        for n in range(18):
            pending.add(50, f"s{n}", ERROR)
        assert pending.outage_error() is None
        pending.add(50, "s18", ERROR)
        assert pending.outage_error() is ERROR

        pending.resolve(Verdict.OWN)
        now = 4
        for n in range(3):
            pending.add(60, f"s{n}", ERROR)
        assert pending.outage_error() is None
        pending.add(60, "s3", ERROR)
        assert pending.outage_error() is ERROR

    asyncio.run(main())
