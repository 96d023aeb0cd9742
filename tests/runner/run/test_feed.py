from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.runner.models import RunConfig, TestSample
from lm_eval_so.runner.request.build import RequestBuilder
from lm_eval_so.runner.run.feed import OwedFeed
from lm_eval_so.runner.store.ledger import Ledger
from lm_eval_so.runner.store.results import StoredLine

if TYPE_CHECKING:
    from collections.abc import Iterator

REQUESTS = RequestBuilder(RunConfig(backend="b", model="m"))


def sample(number: int) -> TestSample:
    return TestSample(id=f"s{number}", messages=[{"role": "user", "content": "q"}])


class Scene:
    """A feed of ``count`` samples, some of which have an answer."""

    def __init__(self, count: int, answered: set[int] = frozenset()) -> None:  # type: ignore[assignment]
        self.read = 0
        self.told: list[int] = []
        self.stopping = False
        stored = [
            StoredLine(n * 100, f"s{n}", REQUESTS.key(sample(n)), ok=True) for n in sorted(answered)
        ]
        self.feed = OwedFeed(
            self._samples(count),
            REQUESTS,
            Ledger(stored, count),
            stopping=lambda: self.stopping,
            answered_before=self._told,
        )

    async def _told(self, offset: int) -> None:
        await asyncio.sleep(0)
        self.told.append(offset)

    def _samples(self, count: int) -> Iterator[TestSample]:
        for number in range(count):
            self.read += 1
            yield sample(number)

    async def all(self, workers: int = 1) -> list[str]:
        found: list[str] = []

        async def work() -> None:
            while (request := await self.feed.next()) is not None:
                found.append(request.sample_id)
                await asyncio.sleep(0)

        await asyncio.gather(*(work() for _ in range(workers)))
        return found


@pytest.mark.parametrize("workers", [1, 7])
def test_what_is_owed_is_handed_out_once_and_what_is_answered_is_told(workers: int) -> None:
    scene = Scene(50, set(range(0, 50, 3)))
    found = asyncio.run(scene.all(workers))
    assert found == [f"s{n}" for n in range(50) if n % 3]
    assert sorted(scene.told) == [n * 100 for n in range(0, 50, 3)]


def test_samples_are_read_when_they_are_asked_for() -> None:
    async def go() -> None:
        scene = Scene(50, {0, 1})
        assert await scene.feed.has_more()
        assert scene.read == 3
        first = await scene.feed.next()
        assert first is not None
        assert (first.sample_id, first.index, scene.read) == ("s2", 2, 3)

    asyncio.run(go())


def test_a_feed_of_answered_samples_has_no_more() -> None:
    scene = Scene(600, set(range(600)))
    assert not asyncio.run(scene.feed.has_more())
    assert len(scene.told) == 600


def test_nothing_is_handed_out_in_a_run_that_is_stopping() -> None:
    async def go() -> None:
        scene = Scene(9, {0, 5, 6})
        assert await scene.feed.has_more()
        assert await scene.feed.next() is not None
        scene.stopping = True
        assert await scene.feed.next() is None
        assert scene.feed.pass_over() == 2
        assert scene.told == [0], "who stops is not told of what comes after"

    asyncio.run(go())


def test_a_fault_in_the_dataset_reaches_who_asks() -> None:
    def torn() -> Iterator[TestSample]:
        yield sample(0)
        raise OSError("gone")

    async def told(_: int) -> None:
        raise AssertionError

    async def go() -> None:
        feed = OwedFeed(
            torn(), REQUESTS, Ledger([], 2), stopping=lambda: False, answered_before=told
        )
        assert await feed.next() is not None
        with pytest.raises(OSError, match="gone"):
            await feed.next()

    asyncio.run(go())
