"""Leases that become shorter, or are lost, while they are asked; parts are real files."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.runner.models import ChatResponse, Outcome, RunRequest
from lm_eval_so.runner.store.parts.lease import Lease
from support.sharded import LeasesOf, Sharded

if TYPE_CHECKING:
    from pathlib import Path

    from lm_eval_so.runner.run.shard_feed import ShardFeed

ANSWER = Outcome(response=ChatResponse(text="fine", status_code=200))


async def take(feed: ShardFeed, count: int) -> list[RunRequest]:
    taken = [await feed.next() for _ in range(count)]
    return [request for request in taken if request is not None]


async def answer(feed: ShardFeed, requests: list[RunRequest]) -> None:
    for request in requests:
        await feed.deliver(request, ANSWER)


async def answer_all(feed: ShardFeed) -> list[str]:
    asked = []
    while (request := await feed.next()) is not None:
        asked.append(request.sample_id)
        await feed.deliver(request, ANSWER)
    return asked


def ids(*numbers: int) -> list[str]:
    return [f"s{n}" for n in numbers]


@pytest.mark.parametrize("repeats", [1, 3])
def test_what_is_begun_is_told_by_position(tmp_path: Path, repeats: int) -> None:
    sharded = Sharded(tmp_path, 20, 10, repeats)
    lease = Lease(10, 10, 1)

    async def main() -> None:
        feed = sharded.feed(LeasesOf(sharded, lease))
        assert feed.begun == []
        await take(feed, 4 * repeats)
        assert feed.begun == [(lease, 14)]
        await take(feed, 1)
        assert feed.begun == [(lease, 15)]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("position", "end"),
    [
        pytest.param(7, 7, id="at-the-position"),
        pytest.param(2, 5, id="where-it-has-got-to"),
        pytest.param(99, 10, id="not-beyond-its-end"),
    ],
)
@pytest.mark.parametrize("repeats", [1, 2])
def test_a_lease_ends_early_and_is_sealed_as_far_as_it_goes(
    tmp_path: Path, position: int, end: int, repeats: int
) -> None:
    sharded = Sharded(tmp_path, 20, 10, repeats)
    leases = LeasesOf(sharded, Lease(0, 10, 1), Lease(end, 10 - end, 2))

    async def main() -> None:
        feed = sharded.feed(leases)
        begun = await take(feed, 5 * repeats)
        assert feed.end_at(1, position) == end
        await answer(feed, begun)
        assert await answer_all(feed) == [one for n in range(5, 10) for one in ids(n) * repeats]

    asyncio.run(main())
    rest = [Lease(end, 10 - end, 2)] if end < 10 else []
    assert leases.sealed[:1] == [Lease(0, end, 1)]
    assert [one for one in leases.sealed[1:] if one.count] == rest
    pieces = list(sharded.board().pieces())
    assert [(one.range.first, one.lines, one.owed) for one in pieces if one.lines] == [
        (0, end * repeats, 0),
        *((one.first, one.count * repeats, 0) for one in rest),
    ]
    assert sharded.results() == [one for n in range(10) for one in ids(n) * repeats]


def test_a_lease_that_ends_where_it_is_is_sealed_with_the_last_outcome(tmp_path: Path) -> None:
    sharded = Sharded(tmp_path, 20, 10)
    leases = LeasesOf(sharded, Lease(0, 10, 1))

    async def main() -> None:
        feed = sharded.feed(leases)
        begun = await take(feed, 5)
        feed.end_at(1, 0)
        assert await feed.next() is None
        await answer(feed, begun[:4])
        assert leases.sealed == []
        await answer(feed, begun[4:])

    asyncio.run(main())
    assert leases.sealed == [Lease(0, 5, 1)]


def test_what_earlier_writers_left_beyond_the_end_is_not_sealed(tmp_path: Path) -> None:
    sharded = Sharded(tmp_path, 10, 10)
    leases = LeasesOf(sharded, Lease(0, 10, 2))

    async def main() -> None:
        earlier = sharded.feed(LeasesOf(sharded, Lease(0, 10, 1)))
        await answer(earlier, await take(earlier, 9))
        part = earlier.drop(1)
        assert part is not None
        sharded.close_part(part)
        feed = sharded.feed(leases)
        request = await feed.next()  # passes over nine that are answered
        assert request is not None
        assert request.sample_id == "s9"

    asyncio.run(main())

    async def shorter() -> None:
        leases = LeasesOf(sharded, Lease(0, 10, 3))
        feed = sharded.feed(leases)
        feed._current = await feed._next_shard()  # opened, and nothing is asked yet
        assert feed.end_at(3, 6) == 6
        assert await answer_all(feed) == []
        assert leases.sealed == [Lease(0, 6, 3)]

    asyncio.run(shorter())
    assert sharded.results() == ids(*range(6))


def test_of_a_lease_that_was_lost_no_outcome_is_written_and_nothing_is_sealed(
    tmp_path: Path,
) -> None:
    sharded = Sharded(tmp_path, 20, 10)
    leases = LeasesOf(sharded, Lease(0, 10, 1), Lease(10, 10, 2))

    async def main() -> None:
        feed = sharded.feed(leases)
        begun = await take(feed, 5)
        await answer(feed, begun[:2])
        part = feed.drop(1)
        assert part is not None
        sharded.close_part(part)
        await answer(feed, begun[2:])
        assert await answer_all(feed) == ids(*range(10, 20))
        assert feed.drop(1) is None
        assert feed.end_at(1, 5) is None
        assert feed.delivered == 12

    asyncio.run(main())
    assert leases.sealed == [Lease(10, 10, 2)]
    assert sharded.results() == ids(*range(10, 20))


def test_a_late_outcome_of_a_lost_lease_is_not_one_of_the_lease_that_came_after(
    tmp_path: Path,
) -> None:
    sharded = Sharded(tmp_path, 10, 10)
    leases = LeasesOf(sharded, Lease(0, 10, 1), Lease(0, 10, 2))

    async def main() -> None:
        feed = sharded.feed(leases)
        late = await take(feed, 3)
        part = feed.drop(1)
        assert part is not None
        sharded.close_part(part)
        again = await take(feed, 10)
        assert [one.sample_id for one in again] == ids(*range(10))
        await answer(feed, late)
        assert feed.delivered == 0
        await answer(feed, again)
        assert await feed.next() is None

    asyncio.run(main())
    assert leases.sealed == [Lease(0, 10, 2)]
    assert sharded.told == ids(*range(10))


def test_lines_that_were_lost_are_asked_again_while_no_other_lease_comes(tmp_path: Path) -> None:
    sharded = Sharded(tmp_path, 10, 10)

    class NoMore(LeasesOf):
        """Waits for ever where a cluster waits for others."""

        async def next(self) -> object:  # type: ignore[override]
            found = await super().next()
            if found is None:
                await asyncio.Event().wait()
            return found

    leases = NoMore(sharded, Lease(0, 10, 1))

    async def main() -> None:
        feed = sharded.feed(leases)
        begun = await take(feed, 10)
        waiting = asyncio.create_task(feed.next())
        await asyncio.sleep(0.01)
        await answer(feed, begun[:9])
        (path,) = (sharded.run_dir / "parts").iterdir()
        text = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join([*text[:4], *text[5:]]))
        await answer(feed, begun[9:])
        again = await asyncio.wait_for(feed.next(), 5)
        assert again is not None
        assert again.sample_id == "s4"
        await answer(feed, [again])
        last = asyncio.create_task(feed.next())
        await asyncio.sleep(0.01)
        assert not waiting.done()
        assert not last.done()
        waiting.cancel()
        last.cancel()

    asyncio.run(main())
    assert sharded.results() == ids(*range(10))
