from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from lm_eval_so.runner.errors import StoreError
from lm_eval_so.runner.strategy.rate_limit.bucket import Bucket
from lm_eval_so.runner.strategy.rate_limit.file import LimitFile, LimitState
from lm_eval_so.runner.strategy.rate_limit.lease import Holder
from lm_eval_so.runner.strategy.rate_limit.schedule import Schedule
from support.stepped_time import Time

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def state(holders: int = 1, now: float = 5000.0) -> LimitState:
    schedule = Schedule()
    schedule.buckets["tokens"] = Bucket(10, now)
    schedule.next_start = schedule.paused_until = now + 0.1
    names = {f"process-{number}": Holder(until=now + 1) for number in range(holders)}
    return LimitState(now=now, schedule=schedule.state(), holders=names)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "made/for/it/limits.json"


def test_what_was_written_is_read_again(path: Path) -> None:
    LimitFile(path).write(state())
    assert LimitFile(path).read() == state()


def test_a_short_state_replaces_a_long_one(path: Path) -> None:
    for holders in (30, 1):
        LimitFile(path).write(state(holders))
    assert LimitFile(path).read() == state(1)


def test_a_file_that_is_not_there_holds_nothing(path: Path) -> None:
    assert LimitFile(path).read() is None


def changed(**values: object) -> Callable[[dict[str, Any]], object]:
    return lambda kept: kept.update(values)


def in_schedule(**values: object) -> Callable[[dict[str, Any]], object]:
    return lambda kept: kept["schedule"].update(values)


def in_bucket(**values: object) -> Callable[[dict[str, Any]], object]:
    return lambda kept: kept["schedule"]["buckets"]["tokens"].update(values)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(changed(version=1), id="older"),
        pytest.param(changed(version=3), id="newer"),
        pytest.param(changed(now="noon"), id="no-time"),
        pytest.param(changed(now=-5), id="negative-time"),
        pytest.param(changed(now=1e300), id="time-without-fractions"),
        pytest.param(changed(now=float("nan")), id="nan"),
        pytest.param(changed(holders={"a": {"until": 9e9}}), id="holder-for-ever"),
        pytest.param(changed(holders=[]), id="another-type"),
        pytest.param(in_schedule(next_start=9e9), id="far-start"),
        pytest.param(in_schedule(next_start=float("inf")), id="infinite-start"),
        pytest.param(in_schedule(buckets={"tokens": {}}), id="empty-bucket"),
        pytest.param(in_bucket(per_second=0), id="no-rate"),
        pytest.param(in_bucket(per_second=1e-300), id="next-to-no-rate"),
        pytest.param(in_bucket(at=9e9), id="far-bucket"),
        pytest.param(in_bucket(level=-1e9), id="endless-debt"),
        pytest.param(in_bucket(level=float("nan")), id="nan-in-a-bucket"),
    ],
)
def test_what_cannot_be_true_counts_as_nothing(
    path: Path, damage: Callable[[dict[str, Any]], object]
) -> None:
    file = LimitFile(path)
    kept = json.loads(state().model_dump_json())
    damage(kept)
    path.write_text(json.dumps(kept) + "\n")
    assert file.read() is None


@pytest.mark.parametrize(
    "text",
    [b"", b"\n", b"\0" * 500, b"{", b"[]", b"\xff\xfe", b'{"next_start":1.0,"paused_until":0.0}'],
    ids=["empty", "line", "zeros", "torn", "list", "no-text", "old"],
)
def test_text_that_is_no_state_counts_as_nothing(path: Path, text: bytes) -> None:
    file = LimitFile(path)
    path.write_bytes(text)
    assert file.read() is None


def test_every_torn_state_counts_as_nothing(path: Path) -> None:
    file = LimitFile(path)
    text = state().model_dump_json().encode()
    for length in range(0, len(text), 7):
        path.write_bytes(text[:length])
        assert file.read() is None


def test_every_byte_that_is_another_counts_as_nothing(path: Path) -> None:
    file = LimitFile(path)
    file.write(state(5))
    file.write(state(1))
    text = path.read_bytes()
    for place in range(text.index(b"\n") + 9):
        for other in (b"0", b"7", b"\n"):
            if text[place : place + 1] != other:
                path.write_bytes(text[:place] + other + text[place + 1 :])
                assert file.read() is None


def test_a_file_that_a_person_wrote_needs_no_checksum(path: Path) -> None:
    file = LimitFile(path)
    path.write_text(state().model_dump_json())
    assert file.read() == state()


@pytest.mark.parametrize(
    ("ahead", "kept"), [(60.0, True), (3599.0, True), (3601.0, False), (1e15, False)], ids=str
)
def test_a_pause_that_nobody_can_mean_is_ignored_and_the_rest_is_kept(
    path: Path, ahead: float, *, kept: bool
) -> None:
    paused = state()
    schedule = paused.schedule.model_copy(update={"paused_until": paused.now + ahead})
    LimitFile(path).write(paused.model_copy(update={"schedule": schedule}))
    found = LimitFile(path).read()
    assert found is not None
    assert (found.schedule.paused_until > found.now) is kept
    assert found.schedule.buckets == paused.schedule.buckets


def test_one_at_a_time_has_the_lock(path: Path) -> None:
    one, other = LimitFile(path), LimitFile(path)
    assert one.try_lock()
    assert not other.try_lock()
    one.unlock()
    assert other.try_lock()


def patient(path: Path, time: Time) -> LimitFile:
    return LimitFile(path, clock=time, sleep=time.sleep)


def test_who_waits_for_the_lock_sleeps_a_few_ms_at_a_time(path: Path) -> None:
    time = Time()
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await time.sleep(seconds)

    holder = LimitFile(path)
    assert holder.try_lock()

    async def let_go() -> None:
        await time.sleep(0.1)
        holder.unlock()

    time.run(LimitFile(path, clock=time, sleep=sleep).lock(), let_go())
    assert sum(slept) == pytest.approx(0.1, abs=0.01)
    assert all(0.001 < seconds < 0.01 for seconds in slept)
    assert len(set(slept)) > 1, "no two processes wake in step"


def test_a_holder_that_is_stopped_holds_up_the_others_for_about_a_second_once(path: Path) -> None:
    time = Time()
    stopped, one, other = LimitFile(path), patient(path, time), patient(path, time)
    assert stopped.try_lock()

    async def work(file: LimitFile, waits: list[float]) -> None:
        for _ in range(5):
            began = time.now
            await file.lock()
            waits.append(time.now - began)
            file.unlock()
            await time.sleep(0.1)

    waits: list[list[float]] = [[], []]
    time.run(work(one, waits[0]), work(other, waits[1]))
    for first, *later in waits:
        assert first == pytest.approx(1, abs=0.05)
        assert max(later) < 0.05
    assert one.try_lock()
    assert not other.try_lock(), "they still exclude each other"


def test_when_a_stopped_holder_goes_on_all_meet_at_its_lock_again(path: Path) -> None:
    time = Time()
    stopped, one, fresh = LimitFile(path), patient(path, time), patient(path, time)
    assert stopped.try_lock()
    time.run(one.lock())
    one.unlock()
    stopped.unlock()
    assert one.try_lock()
    assert not fresh.try_lock()


def test_waiting_for_the_lock_can_be_cancelled(path: Path) -> None:
    holder = LimitFile(path)
    assert holder.try_lock()

    async def main() -> None:
        waiting = asyncio.ensure_future(LimitFile(path).lock())
        await asyncio.sleep(0.02)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(main())
    holder.unlock()
    assert LimitFile(path).try_lock()


def test_a_folder_that_is_deleted_meanwhile_is_made_again(path: Path) -> None:
    file = LimitFile(path)
    path.parent.rmdir()
    assert file.try_lock()
    file.write(state())
    assert file.read() == state()


def test_what_cannot_be_written_is_told_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"limits\.json"):
        LimitFile(tmp_path / "file/limits.json")
    (tmp_path / "limits.json").mkdir()
    with pytest.raises(StoreError, match=r"limits\.json"):
        LimitFile(tmp_path / "limits.json").write(state())
