"""Limits that processes share through a file; each leases starts for a moment at a time."""

import math
import secrets
import time
from collections import deque
from collections.abc import Callable, Collection
from functools import partial
from itertools import islice

from lm_eval_so.runner.strategy.rate_limit.file import LimitFile, LimitState
from lm_eval_so.runner.strategy.rate_limit.lease import Asking, Holder, Lease, take_lease
from lm_eval_so.runner.strategy.rate_limit.limits import LATE, Change, Limits, Want
from lm_eval_so.runner.strategy.rate_limit.schedule import Amounts, Schedule, Slot

_EARLY = 0.02  # seconds before the end of a lease at which the next one is fetched
_LIKELY = 0.05  # seconds; as many starts as in the last ones can soon be used again
_MOST_LIKELY = 64  # starts
_STOPPED = 0.5  # seconds with the lock; after more this process must have been stopped
_SKEW = 2.0  # seconds by which hosts' wall clocks may differ; more is time that has passed
_SOON = 0.001  # seconds before the next try of one that could not finish its look at the file


class SharedLimits(Limits):
    """Shared by processes, also of several hosts.

    The schedule is in the time of the file, which each process gets by adding an offset to its own
    clock. An offset only grows, so that no process is behind what another one wrote, and a wall
    clock that is set back or differs between hosts does no harm.

    Args:
        file: Holds the schedule.
        longest_pause: Seconds; a longer pause in the file is ignored until the server asks this
            process for it too.
        clock: Seconds; never goes back.
        clock_of: Names the clock. Processes that read the same one know how much time has passed.
        wall: Seconds since the epoch; read once, to find out how long the file was unused where
            another clock wrote it last.

    Raises (wherever the file is used):
        StoreError: It cannot be read, written or locked.
    """

    def __init__(
        self,
        file: LimitFile,
        *,
        longest_pause: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
        clock_of: str | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(clock)
        self._file = file
        self._longest_pause = longest_pause
        self._clock_of = clock_of
        self._name = secrets.token_hex(4)
        self._offset = max(0.0, wall()) - clock()
        self._joined = False
        self._holders: dict[str, Holder] = {}
        self._unpublished: list[Change] = []
        self._asked_until = -math.inf  # the pause that this process's own answers asked for
        self._slots: deque[Slot] = deque()
        self._started: deque[float] = deque(maxlen=_MOST_LIKELY)
        self._free_until = -math.inf
        self._look_at = -math.inf

    @property
    def paused_until(self) -> float:
        return max(self._asked_until, self.schedule.paused_until - self._offset)

    def pause(self, until: float) -> None:
        """Tells the others at once, or with the next lease where the file is in use."""
        is_news = until > self.paused_until + LATE
        self._asked_until = max(self._asked_until, until)
        if is_news:
            self._publish()

    def change(self, change: Change) -> None:
        """Tells the others with the next lease."""
        change(self.schedule, self._offset)
        self._unpublished.append(change)

    async def prepare(self, wants: Collection[Want], interval: float) -> bool:
        """Takes a lease, if there is none or the one at hand ends soon."""
        self._drop_late()
        if self._is_served(len(wants)):
            return False
        slept = False
        if not self._slots:
            slept = await self._file.lock()
        elif not self._file.try_lock():
            return False  # there is still something to start meanwhile
        self._exchange(wants, interval)
        return slept

    def wait(self, _want: Want) -> float:
        self._drop_late()
        now = self.clock()
        if self._slots:
            due = self._slots[0].start - self._offset
        elif self._is_free(now):
            due = self.paused_until
        else:
            due = max(self._look_at, now + _SOON)
        return max(0.0, due - now)

    def start(self, want: Want, _interval: float) -> Slot:
        now = self.clock()
        self._started.append(now)
        if not self._slots:
            return Slot(now, now, want.amounts, {})
        slot = self._slots.popleft()
        if slot.amounts != want.amounts:  # it was taken for a request that has left
            self.change(partial(_exchange_amounts, taken=slot, used=want))
        return slot

    def _drop_late(self) -> None:
        """Gives back starts that are late or fall into a pause."""
        now = self.clock()
        begins = max(now - LATE, self.paused_until) + self._offset
        late = 0
        while late < len(self._slots) and self._slots[late].start < begins:
            late += 1
        if late:
            self._give_back(late)

    def _give_back(self, number: int) -> None:
        slots = [self._slots.popleft() for _ in range(number)]
        self.change(lambda schedule, _offset: schedule.give_back(slots))

    def _is_served(self, waiting: int) -> bool:
        now = self.clock()
        if now < self._look_at or self._is_free(now):
            return True
        if not self._slots:
            return False
        ends_soon = self._slots[-1].start - self._offset < now + _EARLY
        return waiting <= len(self._slots) or not ends_soon

    def _is_free(self, now: float) -> bool:
        return now < self._free_until and not self.schedule.buckets

    def _publish(self) -> None:
        if self._file.try_lock():
            self._exchange((), 0.0)

    def _exchange(self, wants: Collection[Want], interval: float) -> None:
        """Reads the file, applies changes, takes a lease, writes the file, frees the lock."""
        try:
            began = self.clock()
            self._load(self._file.read(), began)
            now = began + self._offset
            wanted = self._wanted(wants, began)
            lease = None
            if wanted:
                asking = Asking(self._name, wanted, interval)
                lease, self._holders = take_lease(self.schedule, self._holders, asking, now)
            if self.clock() - began > _STOPPED:
                return  # this process was stopped, and others went on without it
            schedule = self.schedule.state()
            self._file.write(
                LimitState(
                    now=now,
                    schedule=schedule,
                    holders=self._holders,
                    clock=began,
                    clock_of=self._clock_of,
                )
            )
            self._unpublished.clear()
            if lease:
                self._adopt(lease)
        finally:
            self._file.unlock()

    def _wanted(self, wants: Collection[Want], now: float) -> list[Amounts]:
        """Starts that can be used: by requests without one, and by those likely to come."""
        wanted = [want.amounts for want in islice(wants, len(self._slots), None)]
        lately = sum(start > now - _LIKELY for start in self._started)
        if wanted:
            wanted += wanted[-1:] * (lately - len(wanted))
        return wanted

    def _load(self, state: LimitState | None, now: float) -> None:
        if state is None:
            self.schedule.paused_until = 0.0  # a new file begins with what this process knows
        else:
            self._follow(state, now)
            self._holders = state.holders
            self.schedule = Schedule.of_state(state.schedule)
            for change in self._unpublished:
                change(self.schedule, self._offset)
        if self.schedule.paused_until > now + self._offset + self._longest_pause:
            self.schedule.paused_until = 0.0
        asked_until = self._asked_until + self._offset
        self.schedule.paused_until = max(self.schedule.paused_until, asked_until)
        self._joined = True

    def _follow(self, state: LimitState, now: float) -> None:
        """Follows the file's time; this process can be ahead of it, never behind."""
        offset = state.now - now
        same_clock = self._clock_of is not None and state.clock_of == self._clock_of
        if same_clock:
            offset = state.now - state.clock
        if self._joined or not (same_clock or self._offset - offset <= _SKEW):
            self._offset = max(self._offset, offset)
        else:
            self._offset = offset

    def _adopt(self, lease: Lease) -> None:
        self._slots.extend(lease.slots)
        self._free_until = lease.free_until - self._offset
        self._look_at = lease.look_at - self._offset


def _exchange_amounts(schedule: Schedule, _offset: float, *, taken: Slot, used: Want) -> None:
    for unit in taken.marks.keys() & schedule.buckets.keys():
        schedule.buckets[unit].give_back(taken.amounts[unit] - used.amounts[unit])
