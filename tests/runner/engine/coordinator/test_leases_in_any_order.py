"""Whatever happens in whatever order: nothing is covered twice, and nothing is left out."""

from __future__ import annotations

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lm_eval_so.runner.engine.coordinator.leases import Held, Leases, Sealing
from lm_eval_so.runner.engine.coordinator.shards import owed
from lm_eval_so.runner.store.parts.lease import Lease

SAMPLES, SIZE = 60, 17
WORKERS = st.sampled_from("abcd")
CHOICE = st.integers(0, 10**6)


class Orders(RuleBasedStateMachine):
    """Workers that do what they may, and those that were given up and do not know it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.table = Leases(owed(SAMPLES, SIZE), lease_s=30)
        self.sealed: Counter[int] = Counter()
        self.epochs: list[int] = []
        self.held: dict[tuple[str, int], Lease] = {}  # as their workers believe
        self.begun: dict[int, int] = {}
        self.finished: list[tuple[str, Lease]] = []

    def pick(self, number: int) -> tuple[str, Lease]:
        (worker, _), lease = sorted(self.held.items())[number % len(self.held)]
        return worker, lease

    @rule(worker=WORKERS, left=st.sampled_from([0, 5]))
    def asks_for_work(self, worker: str, left: int) -> None:
        lease = self.table.next(worker, self.now, left=left).lease
        if lease is not None:
            self.epochs.append(lease.epoch)
            self.held[worker, lease.epoch] = lease
            self.begun[lease.epoch] = lease.first

    @rule(worker=WORKERS)
    def asks_and_the_answer_is_lost(self, worker: str) -> None:
        lease = self.table.next(worker, self.now).lease
        if lease is not None:
            self.epochs.append(lease.epoch)

    @precondition(lambda self: self.held)
    @rule(number=CHOICE, steps=st.integers(1, 20))
    def works(self, number: int, steps: int) -> None:
        _, lease = self.pick(number)
        self.begun[lease.epoch] = min(self.begun[lease.epoch] + steps, lease.end)

    @rule(worker=WORKERS, seconds=st.integers(0, 10), honest=st.booleans())
    def beats(self, worker: str, seconds: int, *, honest: bool) -> None:
        self.now += seconds
        mine = [lease for (w, _), lease in self.held.items() if w == worker]
        reply = self.table.renew(
            worker, [Held(e.epoch, self.begun[e.epoch]) for e in mine], self.now
        )
        for epoch in reply.lost if honest else ():
            del self.held[worker, epoch]
        for epoch, position in reply.end_at:
            self.ends(worker, epoch, max(position, self.begun[epoch]))

    @precondition(lambda self: self.held)
    @rule(number=CHOICE, at=st.integers(0, SAMPLES))
    def ends_unasked(self, number: int, at: int) -> None:
        worker, lease = self.pick(number)
        self.ends(worker, lease.epoch, max(at, self.begun[lease.epoch]))

    @precondition(lambda self: self.held)
    @rule(number=CHOICE, at=st.integers(0, SAMPLES))
    def ends_and_the_answer_is_lost(self, number: int, at: int) -> None:
        """The worker goes on with all of it."""
        worker, lease = self.pick(number)
        self.table.ended(worker, lease.epoch, at)

    @precondition(lambda self: self.held)
    @rule(worker=WORKERS, number=CHOICE)
    def names_the_lease_of_another(self, worker: str, number: int) -> None:
        owner, lease = self.pick(number)
        if worker != owner:
            assert self.table.done(worker, lease) is Sealing.NOT_YOURS
            assert not self.table.release(worker, lease.epoch)
            assert self.table.ended(worker, lease.epoch, lease.first) is None

    def ends(self, worker: str, epoch: int, position: int) -> None:
        known = self.table.ended(worker, epoch, position)
        if known is not None and known.count:
            self.held[worker, epoch] = known
            self.begun[epoch] = min(self.begun[epoch], known.end)
        else:
            self.held.pop((worker, epoch), None)

    @precondition(lambda self: self.held)
    @rule(number=CHOICE, part=st.integers(0, SIZE))
    def is_done(self, number: int, part: int) -> None:
        worker, lease = self.pick(number)
        count = max(1, lease.count - part) if part % 3 == 0 else lease.count
        lease = Lease(lease.first, count, lease.epoch)
        if self.table.done(worker, lease) is Sealing.ACCEPTED:
            self.sealed.update(range(lease.first, lease.end))
        del self.held[worker, lease.epoch]
        self.finished.append((worker, lease))

    @precondition(lambda self: self.finished)
    @rule(number=CHOICE)
    def is_done_once_more(self, number: int) -> None:
        worker, lease = self.finished[number % len(self.finished)]
        assert self.table.done(worker, lease) is not Sealing.ACCEPTED

    @precondition(lambda self: self.held)
    @rule(number=CHOICE)
    def gives_up_a_lease(self, number: int) -> None:
        worker, lease = self.pick(number)
        self.table.release(worker, lease.epoch)
        self.finished.append((worker, self.held.pop((worker, lease.epoch))))

    @rule(worker=WORKERS, knows=st.booleans())
    def is_gone(self, worker: str, *, knows: bool) -> None:
        """A zombie goes on, and does not know that it was given up."""
        self.table.gone(worker)
        for key in [key for key in self.held if key[0] == worker] if knows else ():
            del self.held[key]

    @rule(seconds=st.sampled_from([5, 31, 100]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @invariant()
    def each_position_has_one_owner(self) -> None:
        table = self.table
        ranges = [(one.first, one.end) for one in table._live.values()]
        ranges += [(one.first, one.end) for one in (*table._fresh, *table._back)]
        owners = Counter(n for first, end in ranges for n in range(first, end))
        assert owners + self.sealed == Counter(range(SAMPLES))
        assert table.sealed == self.sealed.total()
        assert all(one.left >= 0 for one in table._live.values())

    @invariant()
    def no_epoch_is_given_twice(self) -> None:
        assert self.epochs == sorted(set(self.epochs))

    def teardown(self) -> None:
        """One worker alone ends what the others left."""
        self.now += 1000
        while (lease := self.table.next("last", self.now).lease) is not None:
            assert self.table.done("last", lease) is Sealing.ACCEPTED
            self.sealed.update(range(lease.first, lease.end))
        assert self.table.finished
        assert self.sealed == Counter(range(SAMPLES))


Orders.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestOrders = Orders.TestCase
