from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.runner.dataset.selection import Selection
from lm_eval_so.runner.models import RunConfig, TestSample
from lm_eval_so.runner.request.build import RequestBuilder
from lm_eval_so.runner.run.feed import OwedFeed, Questions
from lm_eval_so.runner.store.ledger import Ledger
from lm_eval_so.runner.store.stored_line import StoredLine

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

REQUESTS = RequestBuilder(RunConfig(backend="b", model="m"))


def sample(number: int) -> TestSample:
    return TestSample(id=f"s{number}", messages=[{"role": "user", "content": "q"}])


def whole(count: int) -> Selection:
    return Selection(of=count, selected=count)


def chosen(count: int, *positions: int) -> Selection:
    marks = bytes(position in positions for position in range(count))
    return Selection(of=count, selected=len(positions), chosen=marks)


class Scene:
    """A feed of ``count`` samples, some of which have an answer."""

    def __init__(
        self,
        count: int,
        answered: Collection[int] = (),
        failed: Collection[int] = (),
        selection: Selection | None = None,
    ) -> None:
        self.read = 0
        self.told: list[int] = []
        self.stopping = False
        stored = [
            StoredLine(n * 100, f"s{n}", REQUESTS.key(sample(n)), ok=n in answered)
            for n in sorted({*answered, *failed})
        ]
        self.ledger = Ledger(stored, count)
        self.feed = OwedFeed(
            Questions(self._samples(count), REQUESTS, selection or whole(count)),
            self.ledger,
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
            Questions(torn(), REQUESTS, whole(2)),
            Ledger([], 2),
            stopping=lambda: False,
            answered_before=told,
        )
        assert await feed.next() is not None
        with pytest.raises(OSError, match="gone"):
            await feed.next()

    asyncio.run(go())


def test_a_sample_that_is_not_selected_is_not_handed_out_and_keeps_its_line() -> None:
    scene = Scene(9, answered={0, 2, 7}, failed={3, 4}, selection=chosen(9, 1, 2, 4))
    assert asyncio.run(scene.all()) == ["s1", "s4"]
    assert scene.told == [200], "only of what is selected"
    assert scene.feed.pass_over() == 2, "the answers of s0 and s7"
    assert scene.feed.unasked == 3, "with the failure of s3"
    assert [place.offset for place in scene.ledger.places()] == [0, 200, 300, 400, 700]
    assert list(scene.ledger.leftovers()) == []


def test_a_run_that_is_stopped_keeps_the_lines_of_what_is_not_selected() -> None:
    async def go() -> None:
        scene = Scene(9, answered={2, 7, 8}, selection=chosen(9, 1, 7))
        assert await scene.feed.has_more()
        scene.stopping = True
        assert scene.feed.pass_over() == 3
        assert [place.offset for place in scene.ledger.places()] == [200, 700, 800]

    asyncio.run(go())


def test_a_pilot_in_a_new_directory_reads_no_further_than_its_last_sample() -> None:
    scene = Scene(10_000, selection=chosen(10_000, 0, 3))
    assert asyncio.run(scene.all()) == ["s0", "s3"]
    assert (scene.feed.pass_over(), scene.feed.unasked, scene.read) == (0, 0, 4)
