"""Which samples are selected, and what is told of a selection that cannot be made."""

from __future__ import annotations

import json
import tracemalloc
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from lm_eval_so.runner.config.schema import SelectConfig
from lm_eval_so.runner.dataset.jsonl import JsonlReader
from lm_eval_so.runner.dataset.selection import Selection, Selector, select
from lm_eval_so.runner.errors import ConfigError, DatasetError
from lm_eval_so.runner.models import TestSample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

SAMPLES: list[dict[str, Any]] = [
    {"id": "a", "tags": ["refund", "vip"], "metadata": {"language": "ko", "turns": 3}},
    {"id": "b", "tags": ["refund"], "metadata": {"language": "en", "turns": 1}},
    {"id": "c", "tags": ["login"], "metadata": {"language": "ko", "items": ["x"]}},
    {"id": "d", "metadata": {}, "source": "web"},
    {"id": "e", "tags": ["login", "refund"], "metadata": {"language": "ko", "turns": 2}},
]
QUESTION = [{"role": "user", "content": "q"}]


def lines(samples: Iterable[dict[str, Any]]) -> str:
    return "".join(json.dumps({"messages": QUESTION, **sample}) + "\n" for sample in samples)


def selection(path: Path, **keys: Any) -> Selection:  # noqa: ANN401 - those of SelectConfig
    _, found = select(JsonlReader(path), SelectConfig(**keys))
    return found


@pytest.fixture
def chosen(tmp_path: Path) -> Callable[..., str]:
    """The ids that are selected of the samples above, or of others."""

    def chosen(samples: list[dict[str, Any]] | None = None, **keys: Any) -> str:  # noqa: ANN401
        of = SAMPLES if samples is None else samples
        path = tmp_path / "test.jsonl"
        path.write_text(lines(of))
        found = selection(path, **keys)
        ids = [sample["id"] for number, sample in enumerate(of) if found.includes(number)]
        assert (found.selected, found.of) == (len(ids), len(of))
        assert found.end == (of.index(next(s for s in of if s["id"] == ids[-1])) + 1)
        return " ".join(ids)

    return chosen


@pytest.mark.parametrize(
    ("keys", "ids"),
    [
        pytest.param({}, "a b c d e", id="nothing-set"),
        pytest.param({"seed": 3}, "a b c d e", id="a-seed-alone"),
        pytest.param({"limit": 2}, "a b", id="limit"),
        pytest.param({"ids": ["e", "a"]}, "a e", id="ids"),
        pytest.param({"tags": ["vip", "login"]}, "a c e", id="any-of-the-tags"),
        pytest.param({"tags": "login"}, "c e", id="one-tag"),
        pytest.param({"ids": ("b",)}, "b", id="a-tuple-of-ids"),
        pytest.param({"tags": ["refund"], "limit": 2}, "a b", id="limit-after-the-filter"),
        pytest.param({"tags": ["login"], "limit": 1}, "c", id="limit-counts-what-is-kept"),
        pytest.param({"tags": ["login"], "ids": ["a", "e"]}, "e", id="filters-combine"),
    ],
)
def test_filters_come_first_and_limit_counts_what_they_keep(
    chosen: Callable[..., str], keys: dict[str, Any], ids: str
) -> None:
    assert chosen(**keys) == ids


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        ("metadata.language == 'ko' and 'refund' in tags", "a e"),
        ("metadata.language != 'ko'", "b d"),
        ("metadata.turns > 1", "a e"),
        ("not metadata.turns > 1", "b c d"),
        ("metadata.deep.er.still == 1 or id == 'b'", "b"),
        ("'x' in metadata.items", "c"),
        ("source is defined", "d"),
        ("metadata.get('turns', 9) == 9", "c d"),
        ("source == 'web' or tags | length > 1", "a d e"),
        ("messages[-1].content == 'q' and id in ['a', 'd']", "a d"),
        ("expected is none and tools is none", "a b c d e"),
    ],
)
def test_an_expression_is_about_the_keys_of_a_sample(
    chosen: Callable[..., str], where: str, ids: str
) -> None:
    assert chosen(where=where) == ids


def test_ids_can_stand_in_a_file(chosen: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_bytes(b"\xef\xbb\xbfe\r\n\n  b  \r\n")
    assert chosen(ids=tmp_path / "ids.txt") == "b e"


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"ids": ["a", "x"]}, "select.ids: 1 of 2 ids are not in the dataset: 'x'"),
        (
            {"ids": list("abqrstuv")},
            "select.ids: 6 of 8 ids are not in the dataset: 'q', 'r', 's', 't', 'u', ...",
        ),
        (
            {"tags": ["no"]},
            "nothing is selected: none of the 5 samples is kept by select.tags=['no']",
        ),
        (
            {"ids": ["a"], "where": "id == 'b'"},
            "none of the 5 samples is kept by select.ids=['a'], select.where=id == 'b'",
        ),
        (
            {"where": "metdata.language != 'ko'"},
            "select.where: no sample has the key 'metdata'; did you mean 'metadata'?",
        ),
        (
            {"where": "refund in tags or id == 'd'"},
            "select.where: no sample has the key 'refund'; for a text, write 'refund'",
        ),
        (
            {"where": "metadata.turns > 'x'"},
            "test.jsonl:1: '>' not supported between instances of 'int' and 'str'",
        ),
        ({"where": "tags.__class__.__mro__"}, "test.jsonl:1: __class__ of a list cannot be read"),
        ({"where": "messages.append(1)"}, "test.jsonl:1: append of a list cannot be read"),
        ({"where": "id = 'a'"}, "select.where is not a valid expression: "),
        ({"where": "id == 'a' }} {{ 1"}, "select.where is not a valid expression: "),
    ],
)
def test_what_cannot_be_selected_is_told_in_one_sentence(
    chosen: Callable[..., str], keys: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        chosen(**keys)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"limit": 1, "sample": 1}, "set one of them"),
        ({"stratify": "tag"}, "set sample too"),
        ({"stratify": "tags", "sample": 1}, "stratify must be 'tag', got 'tags'"),
        ({"limit": 0}, "limit must be at least 1, got 0"),
        ({"shard": "0/3"}, "shard: must be i/n, from 1/n to n/n, got '0/3'"),
        ({"shard": "4/3"}, "got '4/3'"),
        ({"shard": "3"}, "got '3'"),
        ({"ids": []}, "ids must be a non-empty list"),
        ({"limits": 3}, "did you mean 'limit'?"),
    ],
)
def test_keys_that_do_not_fit_are_told_before_anything_is_read(
    keys: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=r".*") as caught:
        SelectConfig(**keys)
    assert sentence in str(caught.value)


def test_a_file_of_ids_that_is_not_there_is_told_with_the_way_out(
    chosen: Callable[..., str], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"there is no file .*; for ids .* select\.ids=\[.*a\]"):
        chosen(ids=tmp_path / "a")


@pytest.mark.parametrize("key", ["limit", "sample"])
def test_more_than_there_is_selects_all_and_says_so(tmp_path: Path, key: str) -> None:
    path = tmp_path / "test.jsonl"
    path.write_text(lines(SAMPLES))
    found = selection(path, tags=["login"], **{key: 9})
    assert found.selected == 2
    assert found.note == f"select.{key}=9, but there are only 2: all are asked"
    assert selection(path, tags=["login"], **{key: 2}).note is None


def test_a_line_that_is_no_sample_is_told_before_the_selection(tmp_path: Path) -> None:
    path = tmp_path / "test.jsonl"
    path.write_text(lines(SAMPLES) + "{}\n")
    with pytest.raises(DatasetError, match=r"test\.jsonl:6: "):
        selection(path, ids=["nowhere"])


@pytest.mark.parametrize("stratify", [None, "tag"])
def test_a_sample_is_the_same_whatever_the_order_of_the_file(
    chosen: Callable[..., str], stratify: str | None
) -> None:
    samples = [{"id": f"s{n}", "tags": [f"t{n % 7}"][: n % 3]} for n in range(100)]
    there = chosen(samples, sample=20, stratify=stratify).split()
    back = chosen(samples[::-1], sample=20, stratify=stratify).split()
    assert there == back[::-1]
    assert set(there) < set(chosen(samples, sample=30, stratify=stratify).split())


def test_a_sample_counts_under_its_first_tag_or_under_none(chosen: Callable[..., str]) -> None:
    samples = [
        *({"id": f"r{n}", "tags": ["refund", "login"]} for n in range(60)),
        *({"id": f"l{n}", "tags": ["login"]} for n in range(30)),
        *({"id": f"n{n}"} for n in range(10)),
    ]
    ids = chosen(samples, sample=20, stratify="tag").split()
    assert Counter(sample_id[0] for sample_id in ids) == {"r": 12, "l": 6, "n": 2}


def test_a_sample_is_drawn_of_what_the_filters_keep(chosen: Callable[..., str]) -> None:
    samples = [{"id": f"s{n}", "tags": ["even"] if n % 2 == 0 else []} for n in range(100)]
    ids = chosen(samples, sample=10, tags=["even"]).split()
    assert len(ids) == 10
    assert all(int(sample_id[1:]) % 2 == 0 for sample_id in ids)


def test_shards_cover_each_sample_once_and_a_new_row_moves_nobody(
    chosen: Callable[..., str],
) -> None:
    samples = [{"id": f"s{n}"} for n in range(200)]
    shards = [set(chosen(samples, shard=f"{n}/3").split()) for n in (1, 2, 3)]
    assert sorted(map(len, shards)) == pytest.approx([67, 67, 67], abs=20)
    assert sum(map(len, shards)) == len(set.union(*shards)) == 200
    longer = [{"id": "first"}, *samples]
    for number, shard in enumerate(shards, start=1):
        assert shard == set(chosen(longer, shard=f"{number}/3").split()) - {"first"}


def test_a_selector_keeps_a_few_words_of_each_sample_and_no_sample() -> None:
    count = 20_000
    selector = Selector(SelectConfig(sample=count // 2, stratify="tag", shard="1/1"))
    tracemalloc.start()
    for number in range(count):
        question = {"role": "user", "content": f"{number} " * 200}
        sample = TestSample(id=f"s{number}", messages=[question], tags=[f"t{number % 5}"])
        selector.see("here", sample)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 32 * count
    assert selector.selection().selected == count // 2


def test_a_rare_key_is_known_in_every_shard(chosen: Callable[..., str]) -> None:
    samples = [{"id": f"s{n}"} for n in range(50)]
    samples[7]["flagged"] = "yes"
    for number in (1, 2, 3):
        assert chosen(samples, where="flagged != 'yes'", shard=f"{number}/3")


def test_ids_that_are_numbers_are_their_text(chosen: Callable[..., str]) -> None:
    samples = [{"id": "7"}, {"id": "8"}]
    assert chosen(samples, ids=[8]) == "8"


def test_what_was_asked_is_recorded_with_the_seed_of_a_sample() -> None:
    assert SelectConfig().given == {}
    assert SelectConfig(limit=5, seed=3).given == {"limit": 5, "seed": 3}
    assert SelectConfig(sample=5).given == {"sample": 5, "seed": 0}


@pytest.mark.parametrize("limit", [None, 1, 4, 7])
def test_the_parts_of_a_selection_are_the_selection(tmp_path: Path, limit: int | None) -> None:
    samples = [{"id": f"s{n}"} for n in range(11)]
    (tmp_path / "test.jsonl").write_text(lines(samples))
    found = selection(tmp_path / "test.jsonl", limit=limit)
    for size in (1, 3, 4, 11, 20):
        parts = [found.part(first, min(size, 11 - first)) for first in range(0, 11, size)]
        assert sum(part.of for part in parts) == 11
        assert sum(part.selected for part in parts) == found.selected
        asked = [part.includes(n) for part in parts for n in range(part.of)]
        assert asked == [found.includes(n) for n in range(11)]
        assert [part.is_whole for part in parts] == [part.digest is None for part in parts]


def test_other_samples_make_another_digest_and_all_samples_make_none(tmp_path: Path) -> None:
    (tmp_path / "test.jsonl").write_text(lines({"id": f"s{n}"} for n in range(6)))
    first, last = (selection(tmp_path / "test.jsonl", ids=[name]) for name in ("s0", "s5"))
    assert len({first.digest, last.digest, first.part(0, 3).digest, last.part(0, 3).digest}) == 4
    assert first.part(0, 3).digest == selection(tmp_path / "test.jsonl", limit=1).part(0, 3).digest
    assert (first.part(0, 1).digest, first.part(0, 1).chosen) == (None, None)
    assert selection(tmp_path / "test.jsonl").digest is None
