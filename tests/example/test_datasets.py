from __future__ import annotations

import json

import pytest

from conftest import REPOSITORY

DATASETS = sorted(path.parent for path in REPOSITORY.glob("example/*/dataset/*/test.jsonl"))


@pytest.mark.parametrize("folder", DATASETS, ids=lambda folder: folder.name)
def test_evaluators_of_the_same_family_find_the_id(folder: object) -> None:
    path = REPOSITORY / str(folder) / "metadata.json"
    assert json.loads(path.read_text())["dataset_id"] == path.parent.name
