"""The coordinator while the driver does not look."""

from __future__ import annotations

import pytest

from lm_eval_so.runner.engine.coordinator.coordinator import Beat, CoordinatorSetup, Reply
from lm_eval_so.runner.engine.coordinator.leases import Held
from lm_eval_so.runner.store.parts.lease import Range
from support.results import Clock


def test_no_lease_runs_out_while_nobody_is_answered() -> None:
    from lm_eval_so.runner.engine.ray.actors import CoordinatorActor  # noqa: PLC0415 - needs Ray
    from lm_eval_so.runner.engine.ray.port import DriverSilentError  # noqa: PLC0415

    clock = Clock()
    coordinator = CoordinatorActor(CoordinatorSetup([Range(0, 10)], lease_s=5), clock)
    lease = coordinator.call("lease", "a").lease

    def lost(number: int) -> tuple[int, ...]:
        found: Reply = coordinator.call("beat", "a", Beat(number, (Held(lease.epoch, 0),)))
        return found.renewal.lost

    for number in range(0, 9, 3):
        for later in range(2):
            clock.now += 4
            assert lost(number + later) == ()
        clock.now += 60
        with pytest.raises(DriverSilentError):
            lost(number + 2)
        coordinator.standing()
        assert lost(number + 2) == ()
    clock.now += 6
    assert lost(9) == (lease.epoch,)
